"""Weights in files: ours, those that the authors of a method published, and safetensors."""
