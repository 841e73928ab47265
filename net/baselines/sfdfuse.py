"""SFDFuse: spatial-frequency fusion with a shared encoder, base and detail maps (2,327,950 stored parameters).

    vis ─ encoder ─► base, detail ┐  base fusion (vis base, ir base)         ┐
    ir ── encoder ─► base, detail ┴  detail fusion (vis detail, ir detail)   ┴ decoder(vis, base, detail) ─► fused

Of two networks of that name this is the one of zxp771/SFDFuse, a descendant of CDDFuse with a Haar side branch.

Input: luminance in [0, 1]. Output: in (0, 1).
"""

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from net.baselines.release import flatten, translate
from net.baselines.sfdfuse_coder import Decoder, Encoder, FeedForward, base_fusion_block, detail_fusion_block
from net.checks import check_pair, check_width
from net.files.states import bare_name

MINIMUM_SIZE = 4  # pixels: the decoder mirrors three pixels at each border


class SFDFuseFeatures(NamedTuple):
    """The encoder's maps of both images, each (B, dim, H, W)."""

    vis_base: Tensor
    vis_detail: Tensor
    ir_base: Tensor
    ir_detail: Tensor


class SFDFuseReconstruction(NamedTuple):
    """What the loss of phase 1 needs: both images rebuilt from their own maps, (B, 1, H, W) each, and the maps."""

    vis: Tensor
    ir: Tensor
    features: SFDFuseFeatures


class SFDFuseTraining(NamedTuple):
    """What the loss of phase 2 needs: the fused luminance, (B, 1, H, W), and the maps."""

    fused: Tensor
    features: SFDFuseFeatures


def crop_to_even(x: Tensor) -> Tensor:
    """Without the last row and column where their number is odd: the Haar transform halves the image."""
    height, width = x.shape[-2:]
    return x[..., : height - height % 2, : width - width % 2]


class SFDFuse(nn.Module):
    """The whole network.

    Args:
        dim: channels everywhere, even, a multiple of `heads` and from 4 up; a multiple of 4 for "shuffle", which
            takes four to one.
        heads: heads of every attention.
        feed_forward: the feed-forward networks of the ConvFormer blocks and the base block. "normed" is the release's
            present form (squared ReLU with LayerNorm; grouped convolution), "shuffle" its first form (both at twice
            the resolution). `feed_forward_of` tells it from the names in a weight file.
        drop_path: probability with which training drops a residual branch of a ConvFormer block.
    """

    def __init__(
        self, *, dim: int = 64, heads: int = 8, feed_forward: FeedForward = "normed", drop_path: float = 0.1
    ) -> None:
        super().__init__()
        check_width(dim, heads)
        if feed_forward not in ("normed", "shuffle"):
            raise ValueError(f"feed_forward is '{feed_forward}'; expected 'normed' or 'shuffle'")
        if not isinstance(drop_path, Real) or not 0 <= drop_path < 1:
            raise ValueError(f"drop_path is {drop_path!r}; expected a probability from 0 to below 1")
        shuffled = feed_forward == "shuffle"
        if dim < 4 or (shuffled and dim % 4):  # the decoder squeezes the 2 dim channels of both maps by eight
            expected = "a multiple of 4" if shuffled else "at least 4"
            raise ValueError(f"dim is {dim}; expected {expected} with feed_forward '{feed_forward}'")
        dim, heads, drop_path = int(dim), int(heads), float(drop_path)  # no numpy numbers in a weight file
        self.options = {"dim": dim, "heads": heads, "feed_forward": feed_forward, "drop_path": drop_path}
        self.encoder = Encoder(dim=dim, heads=heads, feed_forward=feed_forward, drop_path=drop_path)
        self.decoder = Decoder(dim=dim, heads=heads, feed_forward=feed_forward, drop_path=drop_path)
        self.base_fusion = base_fusion_block(dim=dim, heads=heads)
        self.detail_fusion = detail_fusion_block(dim=dim, heads=heads)

    def features(self, vis: Tensor, ir: Tensor) -> SFDFuseFeatures:
        """Base and detail maps of both images, without the last row or column where their number is odd.
        Raises ValueError for an input that `check_pair` refuses.
        """
        check_pair(vis, ir, minimum=MINIMUM_SIZE, network=self)
        return SFDFuseFeatures(*self.encoder(crop_to_even(vis)), *self.encoder(crop_to_even(ir)))

    def reconstruct(self, vis: Tensor, ir: Tensor, *, vis_detail_for_ir: bool = False) -> SFDFuseReconstruction:
        """Phase 1 of the training: encoder and decoder alone, each image rebuilt from its own maps.

        Args:
            vis, ir: luminance in [0, 1], (B, 1, H, W), H and W even.
            vis_detail_for_ir: rebuild the infrared image with the visible image's detail map, the release's slip.
        """
        maps = self.features(vis, ir)
        ir_detail = maps.vis_detail if vis_detail_for_ir else maps.ir_detail
        return SFDFuseReconstruction(
            vis=self.decoder(vis, maps.vis_base, maps.vis_detail),
            ir=self.decoder(ir, maps.ir_base, ir_detail),
            features=maps,
        )

    def forward_training(self, vis: Tensor, ir: Tensor) -> SFDFuseTraining:
        """Phase 2 of the training: the fused luminance (even size) and the encoder's maps."""
        maps = self.features(vis, ir)
        base = self.base_fusion(maps.vis_base, maps.ir_base)
        detail = self.detail_fusion(maps.vis_detail, maps.ir_detail)
        return SFDFuseTraining(self.decoder(crop_to_even(vis), base, detail), maps)

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        """Fuse two luminance images in [0, 1], (B, 1, H, W) with H, W >= 4, into one (B, 1, H, W) in (0, 1).

        The network works on even sizes: of an odd number of rows (columns) the last is left out, as in the release,
        and the output repeats its neighbour there, so that it has the size of the inputs.
        Raises ValueError for an input that `check_pair` refuses.
        """
        fused = self.forward_training(vis, ir).fused
        height, width = vis.shape[-2:]
        return F.pad(fused, (0, width % 2, 0, height % 2), mode="replicate")


# Our names to the release's, each pair replaced in turn.
RELEASE_NAMES = (
    ("encoder.embed.", "DIDF_Encoder.patch_embed.proj."),
    ("encoder.haar", "DIDF_Encoder.FreFeature.wt_filter"),
    ("encoder.high_up.", "DIDF_Encoder.upsample1.0."),
    ("encoder.trunk.", "DIDF_Encoder.encoder_level1."),
    ("encoder.base.attn.temperature", "DIDF_Encoder.baseFeature.attn.scale"),
    ("encoder.base.attn.qkv.", "DIDF_Encoder.baseFeature.attn.qkv1."),
    ("encoder.base.attn.qkv_conv.", "DIDF_Encoder.baseFeature.attn.qkv2."),
    ("encoder.base.attn.project_out.", "DIDF_Encoder.baseFeature.attn.proj."),
    ("encoder.base.ffn.conv.", "DIDF_Encoder.baseFeature.mlp.dwconv."),
    ("encoder.base.ffn.", "DIDF_Encoder.baseFeature.mlp."),
    ("encoder.base.", "DIDF_Encoder.baseFeature."),
    ("encoder.detail.", "DIDF_Encoder.detailFeature.net."),
    ("encoder.base_low.", "DIDF_Encoder.init_fusion_b."),
    ("encoder.detail_high.", "DIDF_Encoder.init_fusion_d."),
    ("decoder.trunk.", "DIDF_Decoder_Phase.encoder_level2."),
    ("decoder.head.", "DIDF_Decoder_Phase.output."),
    ("decoder.combine.channel.", "DIDF_Decoder_Phase.fusion1.ca.ca."),
    ("decoder.combine.spatial.", "DIDF_Decoder_Phase.fusion1.sa.sa."),
    ("decoder.combine.pixel.", "DIDF_Decoder_Phase.fusion1.pa.pa2."),
    ("decoder.combine.project_out.", "DIDF_Decoder_Phase.fusion1.conv."),
    ("base_fusion.", "BaseFuseLayer."),
    ("detail_fusion.", "DetailFuseLayer."),
    (".norm1.", ".norm1.body."),
    (".norm2.", ".norm2.body."),
    (".mlp.norm.", ".mlp.norm.body."),
    (".qkv_conv.", ".qkv_dwconv."),
    (".dwconv5.", ".dwconv_5."),
    (".dwconv3_dilated.", ".dwconv_dilated2_1."),
    (".mixer.", ".token_mixer."),
    (".activation.", ".act1."),
    (".scale1", ".layer_scale_1"),
    (".scale2", ".layer_scale_2"),
    (".mix.", ".shffleconv."),
    (".phi.", ".theta_phi.bottleneckBlock."),
    (".rho.", ".theta_rho.bottleneckBlock."),
    (".eta.", ".theta_eta.bottleneckBlock."),
    (".central.", ".conv1_1.conv."),
    (".horizontal.", ".conv1_2.conv."),
    (".vertical.", ".conv1_3.conv."),
    (".angular.", ".conv1_4.conv."),
    (".plain.", ".conv1_5."),
)
# Some of the release's versions store them; none calls them.
UNUSED = {"DIDF_Encoder.FreFeature.iwt_filter", "DIDF_Decoder_Phase.reduce_channel.weight"} | {
    f"DIDF_Decoder_Phase.fusion2.{layer}.{kind}"
    for layer in ("sa.sa", "ca.ca.0", "ca.ca.2", "pa.pa2", "conv")
    for kind in ("weight", "bias")
}


def recognises(keys: Iterable[str]) -> bool:
    """Whether these names are those of SFDFuse's weights: the release's four dicts, their tensors, or ours."""
    return any(key.startswith(("DIDF_Encoder", "encoder.base_low.")) for key in map(bare_name, keys))


def feed_forward_of(keys: Iterable[str]) -> FeedForward:
    """Which value of `SFDFuse(feed_forward=...)` tensors of these flat names are for, the release's names or ours."""
    shuffle = {"DIDF_Encoder.encoder_level1.2.mlp.project_in.weight", "encoder.trunk.2.mlp.project_in.weight"}
    return "normed" if shuffle.isdisjoint(keys) else "shuffle"


def read(checkpoint: Mapping[str, Any]) -> tuple[SFDFuse, dict[str, Tensor]]:
    """A fresh network that fits the release's file of four dicts, and its state dict.

    Raises ValueError, which names the tensors that are missing, left over or of a wrong shape.
    """
    tensors = flatten(checkpoint)
    network = SFDFuse(feed_forward=feed_forward_of(tensors))
    return network, translate("SFDFuse", tensors, network.state_dict(), RELEASE_NAMES, UNUSED)
