"""AdaSFFuse: fusion in learned wavelet bands with state-space blocks (1,351,825 stored parameters, 1,351,697 used).

    vis ─ stem ─ DWT ─► high, low ┐   high of vis + high of ir ─ 2 blocks ┐
    ir ── stem ─ DWT ─► high, low ┴─► low of vis + low of ir ─── 2 blocks ┴ IDWT ─ 4 blocks ─ 3 convolutions ─► fused

The same stem and transform serve both images, which meet only by addition: the network is symmetric in its inputs.
One architecture, trained apart for each of four tasks (`net.baselines.adasffuse_training`).
Source: AdaSFFuse (arXiv 2508.15505) and its release, which has no weights.

Input: luminance in [0, 1]. Output: any real number, not clipped.
"""

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from net.baselines.adasffuse_blocks import HEAD, LearnableDWT, LearnableIDWT, MixerStage
from net.baselines.release import flatten, translate
from net.checks import check_counts, check_pair
from net.files.states import bare_name

MINIMUM_SIZE = 1  # pixels


def pad_like_release(x: Tensor) -> Tensor:
    """Rows and columns up to the next multiple of eight, and eight of them where the size is one already.

    They mirror the image at its lower and right border, the border pixel included; an image of fewer rows (columns)
    than are missing is doubled. (B, C, H, W) to a larger (B, C, H', W').
    """
    height, width = x.shape[-2:]
    x = torch.cat((x, x.flip(2)), dim=2)[:, :, : (height // 8 + 1) * 8]
    return torch.cat((x, x.flip(3)), dim=3)[..., : (width // 8 + 1) * 8]


class AdaSFFuse(nn.Module):
    """The whole network.

    Args:
        dim: channels of the stem; a multiple of 32, half a head of the scan.
        dropout: probability of dropout at the end of every block, in training.
        release_padding: fuse as the release's test scripts do, on `pad_like_release` of the inputs. The extra rows
            and columns enter scan and Fourier transform and change every pixel.
    """

    def __init__(self, *, dim: int = 64, dropout: float = 0.4, release_padding: bool = False) -> None:
        super().__init__()
        check_counts(dim=dim)
        if dim % (HEAD // 2):
            raise ValueError(f"dim is {dim}; expected a multiple of {HEAD // 2}, half a head of the scan")
        if not isinstance(dropout, Real) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout is {dropout!r}; expected a probability from 0 to 1")
        # no numpy numbers in a weight file
        dim, dropout, release_padding = int(dim), float(dropout), bool(release_padding)
        self.options = {"dim": dim, "dropout": dropout, "release_padding": release_padding}
        self.release_padding = release_padding
        self.stem = nn.Sequential(nn.Conv2d(1, dim, 3, padding=1), nn.LeakyReLU(0.2))
        self.dwt = LearnableDWT(dim=dim)
        self.high_stage = MixerStage(dim=3 * dim, depth=2, dropout=dropout)
        self.low_stage = MixerStage(dim=dim, depth=2, dropout=dropout)
        self.idwt = LearnableIDWT()
        self.full_stage = MixerStage(dim=dim, depth=4, dropout=dropout)
        self.reconstruct = nn.Sequential(
            nn.Conv2d(dim, dim // 2, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(dim // 2, dim // 4, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(dim // 4, 1, 3, padding=1),
        )

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        """Fuse two luminance images in [0, 1], (B, 1, H, W), into one real-valued (B, 1, H, W).

        Inside, an odd number of rows or columns grows to the next even one; the output is cut to the inputs' size.
        Raises ValueError for an input that `check_pair` refuses.
        """
        check_pair(vis, ir, minimum=MINIMUM_SIZE, network=self)
        height, width = vis.shape[-2:]
        if self.release_padding:
            vis, ir = pad_like_release(vis), pad_like_release(ir)
        high_vis, low_vis = self.dwt(self.stem(vis))
        high_ir, low_ir = self.dwt(self.stem(ir))
        high = self.high_stage(high_vis + high_ir)  # (B, 3 dim, h, w)
        low = self.low_stage(low_vis + low_ir)  # (B, dim, h, w)
        full = self.full_stage(self.idwt(high, low))  # (B, dim, 2h, 2w)
        return self.reconstruct(full)[..., :height, :width]


# Our names to the release's, each pair replaced in turn.
RELEASE_NAMES = (
    ("idwt.low_taps", "idwt.rec_lo"),
    ("idwt.high_taps", "idwt.rec_hi"),
    ("dwt.low_taps", "dwt.dec_lo"),
    ("dwt.high_taps", "dwt.dec_hi"),
    ("dwt.high_mix.", "dwt.hi_dila1.0."),
    ("dwt.low_mix.", "dwt.low_dila3.0."),
    ("stem.0.", "low_level_feature_extraction.block.0."),
    ("high_stage.", "HiFreqFusion."),
    ("low_stage.", "LoFreqFusion."),
    ("full_stage.", "FreqFusion."),
    (".norm1.", ".norm1.body."),
    (".norm2.", ".norm2.body."),
    (".mixer.", ".mamba."),
    (".spatial.", ".se."),
    (".frequency.weight", ".fft_filter.complex_weight"),
    ("reconstruct.0.", "conv_last1."),
    ("reconstruct.2.", "conv_last2."),
    ("reconstruct.4.", "conv_last3."),
)
# Second names of the four wavelet filters: one tied tensor each in the release.
ALIASES = {
    "dwt.wavedec.dec_lo": "dwt.dec_lo",
    "dwt.wavedec.dec_hi": "dwt.dec_hi",
    "idwt.waverec.rec_lo": "idwt.rec_lo",
    "idwt.waverec.rec_hi": "idwt.rec_hi",
}
UNUSED = frozenset({"patch_embed.norm.weight", "patch_embed.norm.bias"})  # stored but never called


def recognises(keys: Iterable[str]) -> bool:
    """Whether these names of tensors are those of AdaSFFuse's weights, the release's or ours."""
    marks = {"HiFreqFusion.blocks.0.mamba.A_log", "high_stage.blocks.0.mixer.A_log"}
    return not marks.isdisjoint(map(bare_name, keys))


def read(checkpoint: Mapping[str, Any]) -> tuple[AdaSFFuse, dict[str, Tensor]]:
    """A fresh network that fits what the release's trainer saves, bare or nested under `params`, and its state dict.

    Raises ValueError, which names the tensors that are missing, left over, of a wrong shape or unequal by two names.
    """
    tensors = flatten(checkpoint)
    for alias, name in ALIASES.items():
        if alias in tensors and name in tensors and not torch.equal(tensors[alias], tensors[name]):
            raise ValueError(f"AdaSFFuse: '{alias}' and '{name}' differ; expected one tensor under two names")
    network, unused = AdaSFFuse(), UNUSED | ALIASES.keys()
    return network, translate("AdaSFFuse", tensors, network.state_dict(), RELEASE_NAMES, unused)
