"""torch.hub entry points: `torch.hub.load(REPO, "cmmdl", source="local")`."""

from pathlib import Path

dependencies = ["torch", "numpy"]


def cmmdl(pretrained: bool = True, **options):
    """CMMDL, in eval mode: `forward(vis, ir)` fuses luminance (B, 1, H, W) in [0, 1].

    Args:
        pretrained: with the weights that ship in `models/`; otherwise fresh ones.
        options: keyword arguments of `net.CMMDL` for fresh weights.

    Raises:
        ValueError: options together with the shipped weights, whose options are their own.
    """
    import net

    if not pretrained:
        return net.build("cmmdl", **options).eval()
    if options:
        raise ValueError(f"the shipped weights have their own options; got {', '.join(options)}")
    return net.load(Path(__file__).resolve().parent / "models" / "CMMDL.pth")
