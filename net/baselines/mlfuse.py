"""MLFuse: multi-scenario image fusion with three small branches (111,817 stored parameters, 109,497 that train).

    vis ─ stem ─ edge branch ──────────────► E ┐
    vis ─ stem ┐                               │
               ├ cross-modal branch ─────────► K ├ cat ─ mix ─ project ─ tanh ─► fused
    ir ── stem ┘                               │
    ir ── stem ─ saliency branch ──────────► S ┘

Image 1 (visible, MRI) gives the edges, image 2 (infrared, CT, PET, SPECT) the salient regions: the network is not
symmetric in its inputs. Source: MLFuse, "Multi-scenario feature joint learning for image fusion", and its release.

Input: luminance in [0, 1]. Output: in (-1, 1), not clipped.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net.baselines.release import flatten, translate
from net.checks import check_pair, check_width
from net.files.states import bare_name

MINIMUM_SIZE = 15  # pixels: a stride-2 convolution without padding, then a 7x7 pooling window


class MLFuseTraining(NamedTuple):
    """What the training loss needs, each (B, 1, H, W) in (-1, 1)."""

    fused: Tensor
    edge: Tensor
    cross: Tensor
    saliency: Tensor


def conv_norm_relu(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution, batch normalisation, ReLU: (B, inputs, H, W) to (B, outputs, H, W)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())


def conv_norm_prelu(width: int) -> nn.Sequential:
    """3x3 convolution, batch normalisation, ReLU with one learned slope; keeps (B, width, H, W)."""
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.PReLU())


class EdgeBranch(nn.Module):
    """Edge gate from a coarse view: E = sigmoid(expand(up(refine(pool(coarse(u)))) + skip(u))), u = reduce(t).

    The coarse view stands on a grid of about a sixth of the image. (B, width, H, W) to (B, width, H, W) in (0, 1).
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        half = width // 2
        self.reduce = nn.Conv2d(width, half, 1)
        self.coarse = nn.Conv2d(half, half, 3, stride=2)
        self.pool = nn.MaxPool2d(7, stride=3)
        self.refine = nn.Sequential(
            nn.Conv2d(half, half, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1),
        )
        self.skip = nn.Conv2d(half, half, 1)
        self.expand = nn.Conv2d(half, width, 1)

    def forward(self, t: Tensor) -> Tensor:
        u = self.reduce(t)  # (B, width/2, H, W)
        v = self.refine(self.pool(self.coarse(u)))  # (B, width/2, about H/6, about W/6)
        v = F.interpolate(v, size=u.shape[-2:], mode="bilinear", align_corners=False)  # (B, width/2, H, W)
        return torch.sigmoid(self.expand(v + self.skip(u)))  # (B, width, H, W)


class CrossModalBranch(nn.Module):
    """What two modalities share and where they differ, a and b being (B, width, H, W):

    K = merge(shared(first(a + ab) + second(b + ab)) + difference(|a - b|)), with ab the element-wise product.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.first = conv_norm_prelu(width)
        self.second = conv_norm_prelu(width)
        self.shared = conv_norm_prelu(width)
        self.difference = conv_norm_prelu(width)
        self.merge = conv_norm_prelu(width)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        product = a * b
        shared = self.shared(self.first(a + product) + self.second(b + product))
        return self.merge(shared + self.difference((a - b).abs()))  # (B, width, H, W)


class SaliencyBranch(nn.Module):
    """Two gates, one over pixels and one over channels: S = t * pixel_gate + t * channel_gate.

    Pixel gate:   sigmoid(softmax over pixels of <mean over pixels of Q_p t, V_p t>), (B, 1, H, W)
    Channel gate: sigmoid(U sum over pixels of softmax(Q_c t) V_c t), (B, width, 1, 1)

    A softmax over H*W pixels is about 1/(H*W), so the pixel gate stays near 0.5 and depends on the image size; it is
    kept because the published weights were trained with it. (B, width, H, W) to (B, width, H, W).
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        half = width // 2
        self.pixel_query = nn.Conv2d(width, half, 1, bias=False)
        self.pixel_value = nn.Conv2d(width, half, 1, bias=False)
        self.channel_query = nn.Conv2d(width, 1, 1, bias=False)
        self.channel_value = nn.Conv2d(width, half, 1, bias=False)
        self.channel_up = nn.Conv2d(half, width, 1, bias=False)
        for conv in (self.pixel_query, self.pixel_value, self.channel_query, self.channel_value):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")

    def pixel_weights(self, t: Tensor) -> Tensor:
        """Softmax over the pixels, (B, 1, H*W)."""
        query = self.pixel_query(t).mean(dim=(2, 3)).unsqueeze(1)  # (B, 1, width/2)
        return (query @ self.pixel_value(t).flatten(2)).softmax(dim=-1)  # (B, 1, H*W)

    def channel_weights(self, t: Tensor) -> Tensor:
        """Softmax over the pixels, (B, 1, H*W)."""
        return self.channel_query(t).flatten(2).softmax(dim=-1)

    def forward(self, t: Tensor) -> Tensor:
        pixel_gate = self.pixel_weights(t).sigmoid().unflatten(2, t.shape[-2:])  # (B, 1, H, W)
        pooled = self.channel_value(t).flatten(2) @ self.channel_weights(t).transpose(1, 2)  # (B, width/2, 1)
        channel_gate = self.channel_up(pooled.unsqueeze(-1)).sigmoid()  # (B, width, 1, 1)
        return t * pixel_gate + t * channel_gate


class MLFuse(nn.Module):
    """The whole network.

    Args:
        dim: channels of every branch, even.
    """

    def __init__(self, *, dim: int = 32) -> None:
        super().__init__()
        check_width(dim)
        dim = int(dim)  # no numpy numbers in a weight file
        self.options = {"dim": dim}
        self.edge_stem = conv_norm_relu(1, dim)
        self.saliency_stem = conv_norm_relu(1, dim)
        self.cross_stem_vis = conv_norm_relu(1, dim)
        self.cross_stem_ir = conv_norm_relu(1, dim)
        self.edge_branch = EdgeBranch(width=dim)
        self.cross_branch = CrossModalBranch(width=dim)
        self.saliency_branch = SaliencyBranch(width=dim)
        self.mix = nn.Sequential(*conv_norm_relu(3 * dim, 3 * dim // 2), *conv_norm_relu(3 * dim // 2, dim // 2))
        self.project = nn.Conv2d(dim // 2, 1, 1)
        # One-channel views of the branches, which only the training loss looks at.
        self.edge_head = nn.Conv2d(dim, 1, 1)
        self.cross_head = nn.Conv2d(dim, 1, 1)
        self.saliency_head = nn.Conv2d(dim, 1, 1)

    def features(self, vis: Tensor, ir: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three branches' outputs E, K and S, each (B, dim, H, W)."""
        check_pair(vis, ir, minimum=MINIMUM_SIZE, network=self)
        edge = self.edge_branch(self.edge_stem(vis))
        saliency = self.saliency_branch(self.saliency_stem(ir))
        cross = self.cross_branch(self.cross_stem_vis(vis), self.cross_stem_ir(ir))
        return edge, cross, saliency

    def fuse(self, edge: Tensor, cross: Tensor, saliency: Tensor) -> Tensor:
        """The fused luminance from the three branches' outputs, (B, 1, H, W)."""
        mixed = self.mix(torch.cat((edge, cross, saliency), dim=1))  # (B, 3 dim, H, W) -> (B, dim/2, H, W)
        return torch.tanh(self.project(mixed))

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        """Fuse two luminance images in [0, 1], (B, 1, H, W) with H, W >= 15, into one (B, 1, H, W) in (-1, 1).

        Raises ValueError for an input that `check_pair` refuses.
        """
        return self.fuse(*self.features(vis, ir))

    def forward_training(self, vis: Tensor, ir: Tensor) -> MLFuseTraining:
        """The fused luminance and the one-channel views of the branches, for `mlfuse_loss`."""
        edge, cross, saliency = self.features(vis, ir)
        return MLFuseTraining(
            fused=self.fuse(edge, cross, saliency),
            edge=torch.tanh(self.edge_head(edge)),
            cross=torch.tanh(self.cross_head(cross)),
            saliency=torch.tanh(self.saliency_head(saliency)),
        )


# Our names to the release's, each pair replaced in turn.
RELEASE_NAMES = (
    ("edge_stem.", "inc_edg.double_conv."),
    ("saliency_stem.", "inc_ssd.double_conv."),
    ("cross_stem_vis.", "inc_cmk_1.double_conv."),
    ("cross_stem_ir.", "inc_cmk_2.double_conv."),
    ("edge_head.", "edg_net.ouc_edge."),
    ("cross_head.", "cmk_net.ouc_cda."),
    ("saliency_head.", "ssd_net.ouc_cda."),
    ("edge_branch.reduce.", "edg_net.conv1."),
    ("edge_branch.coarse.", "edg_net.conv2."),
    ("edge_branch.refine.0.", "edg_net.conv_max."),
    ("edge_branch.refine.2.", "edg_net.conv3."),
    ("edge_branch.refine.4.", "edg_net.conv3_."),
    ("edge_branch.skip.", "edg_net.conv_f."),
    ("edge_branch.expand.", "edg_net.conv4."),
    ("cross_branch.first.", "cmk_net.fuse5_conv1."),
    ("cross_branch.second.", "cmk_net.fuse5_conv2."),
    ("cross_branch.shared.", "cmk_net.fuse5_conv3."),
    ("cross_branch.difference.", "cmk_net.fuse5_conv4."),
    ("cross_branch.merge.", "cmk_net.fuse5_conv5."),
    ("saliency_branch.pixel_query.", "ssd_net.conv_q_left."),
    ("saliency_branch.pixel_value.", "ssd_net.conv_v_left."),
    ("saliency_branch.channel_query.", "ssd_net.conv_q_right."),
    ("saliency_branch.channel_value.", "ssd_net.conv_v_right."),
    ("saliency_branch.channel_up.", "ssd_net.conv_up."),
    ("mix.", "layer.double_conv."),
    ("project.", "outc.conv."),
)
UNUSED = frozenset({"edg_net.conv_dilation.weight", "edg_net.conv_dilation.bias"})  # stored but never called


def recognises(keys: Iterable[str]) -> bool:
    """Whether these names of tensors are those of MLFuse's weights, the release's or ours."""
    return not {"inc_edg.double_conv.0.weight", "edge_stem.0.weight"}.isdisjoint(map(bare_name, keys))


def read(checkpoint: Mapping[str, Any]) -> tuple[MLFuse, dict[str, Tensor]]:
    """A fresh network that fits the release's file, {epoch, model} or the bare state dict, and its state dict.

    Raises ValueError, which names the tensors that are missing, left over or of a wrong shape.
    """
    tensors, network = flatten(checkpoint), MLFuse()
    return network, translate("MLFuse", tensors, network.state_dict(), RELEASE_NAMES, UNUSED)
