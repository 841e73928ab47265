"""What a segmenter, a detector or an eye gains from fused images: judges trained on each method's images alike."""
