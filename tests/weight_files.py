"""Weights by a formula, and the authors' files of them, made without the code under test."""

import torch
from torch import Tensor, nn

from net.baselines.sfdfuse import RELEASE_NAMES


@torch.no_grad()
def filled(model: nn.Module) -> nn.Module:
    """The network with weights that are the same in every version of torch, no two tensors alike."""
    learned = [*model.named_parameters(), *(item for item in model.named_buffers() if "running_" in item[0])]
    for number, (name, tensor) in enumerate(learned):
        k = torch.arange(tensor.numel(), dtype=torch.float64).view(tensor.shape)
        values = torch.cos(k * k + number)
        if tensor.ndim > 1:
            values = values / tensor[0].numel() ** 0.5
        elif name.endswith(("bias", "running_mean")):
            values = 0.1 * values
        else:  # factors and variances
            values = 1 + 0.3 * values
        tensor.copy_(values)
    return model.eval()


BLOCK = {
    "norm1": "norm1", "norm2": "norm2", "gdfn.project_in": "ffn.project_in", "gdfn.dwconv": "ffn.dwconv",
    "gdfn.project_out": "ffn.project_out", "sfca": "attn", "sfca.qkvu": "attn.qkv", "sfca.qkvu_dw": "attn.qkv_conv",
    "sfca.project_s": "attn.project_out", "sfca.kv_f": "attn.kv", "sfca.kv_f_dw": "attn.kv_conv",
    "sfca.norm_f": "attn.norm_IR.body", "sfca.project_f": "attn.project_out_f",
}  # fmt: skip
FDLB = {
    "pre_vis": "pre1", "pre_ir": "pre2", "post_vis": "post_VIS", "post_ir": "post_IR",
    "phase_fused.0": "pha_fuse.0", "phase_fused.2": "pha_fuse.2", "amp_vis.0": "amp_VIS.0", "amp_vis.2": "amp_VIS.2",
    "amp_ir.0": "amp_IR.0", "amp_ir.2": "amp_IR.2", "pha_vis.0": "pha_VIS.0", "pha_vis.2": "pha_VIS.2",
    "pha_ir.0": "pha_IR.0", "pha_ir.2": "pha_IR.2",
}  # fmt: skip
HDFAB = {"spatial": "SA.conv1"}
for n in (1, 2, 3):
    HDFAB |= {f"cbr_{n}.0": f"pre{n}.conv", f"cbr_{n}.1": f"pre{n}.bnop"}
for n in (1, 2):
    HDFAB |= {f"channel_{n}.{layer}": f"CA_{n}.{layer}" for layer in (1, 2, 4, 5)}
for n in range(4):
    names = ("0.conv", "0.bn", "1")  # a convolution and two normalisations
    HDFAB |= {f"dense.{n}.{layer}": f"DSRM.block{n + 1}.{name}" for layer, name in enumerate(names)}


def as_released(model: nn.Module) -> dict[str, Tensor]:
    """CMMDL's state dict under the names that the authors' file has, with the tensors that nothing uses."""
    dim, depth = model.options["dim"], model.options["depth"]
    layers = {"encoder.embed": "share_Encoder.patch_embed.proj"}
    layers |= {f"decoder.head.{layer}": f"share_Decoder.output.{layer}" for layer in (0, 2)}
    layers |= {f"fdlb.{ours}": f"MDLB.FDomain.{name}" for ours, name in FDLB.items()}
    layers |= {f"hdfab.{ours}": f"MDLB.FSI.{name}" for ours, name in HDFAB.items()}
    unused = {}
    for half, blocks in (("encoder", "share_Encoder.share_encoder"), ("decoder", "share_Decoder.share_decoder")):
        for n in range(depth):
            layers |= {f"{half}.blocks.{n}.{ours}": f"{blocks}.{n}.{name}" for ours, name in BLOCK.items()}
            unused |= {f"{blocks}.{n}.attn.q1X1_{i}.weight": torch.ones(dim, dim, 1, 1) for i in (1, 2)}
            unused |= {f"{blocks}.{n}.attn.norm_VI.body.{name}": torch.ones(dim) for name in ("weight", "bias")}
    for modality in ("vis", "ir"):
        for n in range(3):
            for part in ("phi", "rho", "eta"):
                name = f"MDLB.SDomain_{modality.upper()}.GCBInv.{n}.theta_{part}"
                for number, layer in enumerate(("expand", "dwconv", "project"), 1):
                    layers[f"sdlb_{modality}.couplings.{n}.{part}.{layer}"] = f"{name}.Conv_{number}"
                unused |= {f"{name}.Sobel.conv{way}.weight": torch.ones(dim // 2, 1, 3, 3) for way in "xy"}
                unused[f"{name}.Identity.weight"] = torch.ones(dim // 2, dim // 2, 1, 1)
    named = {}
    for key, tensor in model.state_dict().items():
        layer, _, kind = key.rpartition(".")
        named[f"{layers[layer]}.{kind}"] = tensor
    return named | unused


def sfdfuse_as_released(model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """SFDFuse's weights as its authors save them: a state dict for each of four parts, with the prefix `module.`."""
    parts = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in RELEASE_NAMES:
            name = name.replace(ours, theirs)
        part, _, name = name.partition(".")
        parts.setdefault(part, {})[f"module.{name}"] = tensor
    return parts
