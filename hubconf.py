"""torch.hub entry points: `torch.hub.load(REPO, "cmmdl", source="local")`, and "cmmdl_lite" likewise."""

from pathlib import Path

dependencies = ["torch", "numpy", "cv2", "pywt"]  # what `import net` needs; the hub names those that are missing


def cmmdl(pretrained: bool = True, **options):
    """CMMDL, in eval mode: `forward(vis, ir)` fuses luminance (B, 1, H, W) in [0, 1].

    Args:
        pretrained: with the weights that ship in `models/`; otherwise fresh ones.
        options: keyword arguments of `net.CMMDL` for fresh weights.

    Raises ValueError for options together with the shipped weights, whose options are their own.
    """
    return _opened("cmmdl", pretrained, options)


def cmmdl_lite(pretrained: bool = True, **options):
    """CMMDL-lite, at camera speed; otherwise as `cmmdl`, with the options of `net.lite.CMMDLLite`."""
    return _opened("cmmdl-lite", pretrained, options)


def _opened(name: str, pretrained: bool, options: dict):
    import net

    if not Path(net.__file__ or "").resolve().is_relative_to(Path(__file__).resolve().parent / "net"):
        raise ImportError(f"another net, of {net.__file__}, is imported already; expected this repository's")
    if not pretrained:
        return net.build(name, **options).eval()
    if options:
        raise ValueError(f"the shipped weights have their own options; got {', '.join(options)}")
    return net.load(Path(__file__).resolve().parent / "models" / f"{net.METHODS[name].label}.pth")
