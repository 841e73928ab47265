"""What a training is given, as its command line asks: the network, and patches with the maps that the loss needs."""

import argparse

from torch import nn

import net
from data import sources
from data.crops import read_images
from data.masks import TARGETS
from net.fast.layout import weights_to_channels_last
from net.files.states import check_options
from net.method import Method
from net.training.recipe import Recipe, batch_norms
from utils.distributed import World
from utils.shipped import open_model
from utils.training.runs import log
from utils.training.teacher import Teacher


def open_network(args: argparse.Namespace, method: Method) -> nn.Module:
    """The network, ready to train.

    Raises ValueError or OSError where the weights of `--init` cannot be read or are of another method or width, the
    method has nothing that an option could act on, or it does not keep its options as `Method` says.
    """
    if args.init:
        network = open_model(method.name, args.init, "--init WEIGHTS", fixed=True).train()
    else:
        options = {name: value for name in ("dim", "without") if (value := getattr(args, name))}
        network = net.build(method.name, **options)
    try:  # without its options, its weights could not be read again
        check_options(getattr(network, "options", None), network.state_dict())
    except ValueError as error:
        raise ValueError(f"the network of {method.label}: {error}, as net/method.py says") from None
    if args.init and args.dim and args.dim != network.options.get("dim", args.dim):
        found = f"{args.init} has {network.options['dim']} channels"
        raise ValueError(f"--dim {args.dim}: {found}; expected that or no --dim")
    if args.keep_norms and not batch_norms(network):
        raise ValueError(f"--keep-norms: {method.label} has no BatchNorm layers; expected another method")
    if args.checkpoint_activations:
        if not hasattr(network, "checkpoint_activations"):
            raise ValueError(f"--checkpoint-activations: {method.label} has no such form; expected another method")
        network.checkpoint_activations()
    if method.channels_last:
        weights_to_channels_last(network)
    return network


def open_source(args: argparse.Namespace, recipe: Recipe, world: World) -> sources.Source:
    """The training patches that the arguments name; what was refused among them is named in the log."""
    whole_images = args.demo or args.data  # a file's patches meet the teacher in loader processes, without a GPU
    teacher = open_teacher(args, recipe, world.device.type if whole_images else "cpu")
    crops, image_maps = recipe.crops, [made for made in (recipe.image_map, teacher) if made]
    if args.demo:
        return sources.rendered(args.seed, crops=crops, image_maps=image_maps)
    if args.data:
        name, bars = ", ".join(map(str, args.data)), {"progress": world.is_main}
        found = read_images(args.data, classes=args.mask_classes or TARGETS, hold_out=not args.no_held_out, **bars)
        source = sources.CropSource(found, seed=args.seed, name=name, crops=crops, image_maps=image_maps, **bars)
        for refusal in source.refused:
            log.warning("refused: %s", refusal)
        return source
    if not args.h5.exists():
        raise FileNotFoundError(f"{args.h5}: no such file; see python -m data.patches, or use --data or --demo")
    return sources.PatchSource(args.h5, image_maps)


def open_teacher(args: argparse.Namespace, recipe: Recipe, device: str) -> Teacher | None:
    """The network that a recipe's training learns from, None without one; its results are kept below `--out`.

    Raises the errors of `open_model`.
    """
    if not recipe.teacher:
        return None
    network = open_model(recipe.teacher, args.teacher, "--teacher WEIGHTS", fixed=True)
    return Teacher(network, args.out / "teacher", device)
