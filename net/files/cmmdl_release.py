"""The key names of CMMDL's published checkpoint, and ours.

The release saved one `state_dict` whose names describe its classes; ours describe the paper's blocks.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from net.cmmdl import CMMDL
from net.files.states import check_options, find_state, missing_named, renamed

UNUSED = re.compile(  # by the release's forward pass
    r"share_(Encoder\.share_encoder|Decoder\.share_decoder)\.\d+\.attn\.(q1X1_[12]\.weight|norm_VI\.body\.(weight|bias))"
    r"|MDLB\.SDomain_(VIS|IR)\.GCBInv\.\d+\.theta_(phi|rho|eta)\.(Sobel\.conv[xy]|Identity)\.weight"
)

# They are applied in this order, each to the result of the one before.
RENAMED = (
    ("share_Encoder.patch_embed.proj", "encoder.embed"),
    ("share_Encoder.share_encoder", "encoder.blocks"),
    ("share_Decoder.share_decoder", "decoder.blocks"),
    ("share_Decoder.output", "decoder.head"),
    (".attn.qkv_conv", ".sfca.qkvu_dw"),
    (".attn.qkv", ".sfca.qkvu"),
    (".attn.kv_conv", ".sfca.kv_f_dw"),
    (".attn.kv", ".sfca.kv_f"),
    (".attn.project_out_f", ".sfca.project_f"),
    (".attn.project_out", ".sfca.project_s"),
    (".attn.norm_IR.body", ".sfca.norm_f"),
    (".attn.", ".sfca."),
    (".ffn.", ".gdfn."),
    ("MDLB.SDomain_VIS.GCBInv", "sdlb_vis.couplings"),
    ("MDLB.SDomain_IR.GCBInv", "sdlb_ir.couplings"),
    (".theta_", "."),
    (".Conv_1", ".expand"),
    (".Conv_2", ".dwconv"),
    (".Conv_3", ".project"),
    ("MDLB.FDomain.", "fdlb."),
    ("fdlb.pre1", "fdlb.pre_vis"),
    ("fdlb.pre2", "fdlb.pre_ir"),
    ("fdlb.pha_fuse", "fdlb.phase_fused"),
    ("fdlb.amp_VIS", "fdlb.amp_vis"),
    ("fdlb.amp_IR", "fdlb.amp_ir"),
    ("fdlb.pha_VIS", "fdlb.pha_vis"),
    ("fdlb.pha_IR", "fdlb.pha_ir"),
    ("fdlb.post_VIS", "fdlb.post_vis"),
    ("fdlb.post_IR", "fdlb.post_ir"),
    ("MDLB.FSI.", "hdfab."),
    ("hdfab.SA.conv1", "hdfab.spatial"),
    ("hdfab.CA_", "hdfab.channel_"),
    ("hdfab.pre", "hdfab.cbr_"),
    *((f"hdfab.cbr_{k}.conv.", f"hdfab.cbr_{k}.0.") for k in range(1, 4)),
    (".bnop.", ".1."),
    *((f"hdfab.DSRM.block{k}.", f"hdfab.dense.{k - 1}.") for k in range(1, 5)),
    # The release nests convolution and first normalisation: "0.conv", "0.bn", then "1" is the second one.
    *((f"hdfab.dense.{k}.1.", f"hdfab.dense.{k}.2.") for k in range(4)),
    *((f"hdfab.dense.{k}.0.bn.", f"hdfab.dense.{k}.1.") for k in range(4)),
    *((f"hdfab.dense.{k}.0.conv.", f"hdfab.dense.{k}.0.") for k in range(4)),
)


def rename(key: str) -> str:
    """Our name of a parameter that the release calls `key`; any other name as it is."""
    return renamed(key, RENAMED) if key.startswith(("share_Encoder.", "share_Decoder.", "MDLB.")) else key


def recognises(keys: Iterable[str]) -> bool:
    """Whether these names of tensors are those of CMMDL's weights, the release's or ours."""
    return any("share_Encoder." in key or (".blocks." in key and ".sfca." in key) for key in keys)


def read(checkpoint: Mapping[str, Any]) -> tuple[CMMDL, dict[str, Tensor]]:
    """A fresh network that fits a weight file, the release's or ours, and the file's state dict under our names.

    The tensors that the published forward pass never uses are left out. Other names stay as they are, and a strict load
    has to report them. Raises LookupError or ValueError where the file does not tell the network's widths.
    """
    state = {rename(key): value for key, value in find_state(checkpoint).items() if not UNUSED.fullmatch(key)}
    with missing_named("CMMDL"):
        options = {
            "dim": state["encoder.embed.weight"].shape[0],
            "heads": state["encoder.blocks.0.sfca.temperature"].shape[1],
            "depth": len({key.split(".")[2] for key in state if key.startswith("encoder.blocks.")}),
        }
    return CMMDL(**check_options(options, state)), state
