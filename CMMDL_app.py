"""A page on this computer: drop a visible and an infrared picture, see them fused, compared and scored.

    python CMMDL_app.py [--port N]              # prints the address to open, http://127.0.0.1:7860; Ctrl-C ends it

Needs `pip install -r requirements-app.txt`. Nothing leaves the computer: the page answers to it alone, loads nothing
from elsewhere, and keeps a picture for a day, and none when it ends.
"""

if __name__ == "__main__":
    import utils.idle_threads  # noqa: F401 - before torch

import os
import re
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import net
from data.images import EXTENSIONS
from data.interrupt import SIGNALS
from data.options import Parser, UsageError, whole
from utils import tables
from utils.memory import keep_freed_memory
from utils.metrics import PROTOCOLS
from utils.shipped import open_model
from utils.uploads import Shown, fuse, preview

INTRODUCTION = """# CMMDL: two pictures into one
Drop a visible and an infrared picture of one scene that lie on each other, and press **Fuse**."""
HOUR = 3600  # seconds
KEPT = 24 * HOUR  # how long files stay; old ones are looked for every hour
MISSING = "the page needs the package gradio: pip install -r requirements-app.txt"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the page until Ctrl-C. 0; 2 for usage, a port that is taken, no place for files, or without gradio."""
    parser = Parser("CMMDL_app.py", "Fuse pairs of pictures on a page in the browser.")
    parser.add_argument("--port", type=whole(1024, 65535), help="of the page (default: the first free one from 7860)")
    args = parser.parse_args(argv)
    keep_freed_memory()  # not blocks of every size: the page may stay open for long
    try:
        folder = tempfile.TemporaryDirectory(prefix="cmmdl-")
    except OSError as error:
        print(f"error: no place for what is uploaded ({error.strerror}); TMPDIR names another", file=sys.stderr)
        return 2
    with folder as home:
        try:
            page = serve(Path(home).resolve(), port=args.port)
        except (UsageError, OSError) as error:
            taken = f"port {args.port} is taken" if isinstance(error, OSError) and args.port else error
            print(f"error: {taken}", file=sys.stderr)
            return 2
        print(f"The page is at {page.local_url} (Ctrl-C ends it)", flush=True)
        page.block_thread()
    return 0


def serve(home: Path, *, port: int | None = None) -> Any:
    """The page, served on 127.0.0.1 by threads of this process: a `gradio.Blocks` with `local_url` and `close()`.

    Args:
        home: folder for what is uploaded and fused.
        port: the port; None takes the first free one from 7860.

    Raises UsageError where gradio is not installed, OSError where the port is taken.
    """
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(home)}
    try:
        import gradio
    except ImportError:
        raise UsageError(MISSING) from None
    page = build(home)
    page.launch(
        server_name="127.0.0.1",
        server_port=port,
        share=False,
        ssr_mode=False,
        footer_links=[],
        max_file_size="256mb",
        theme=gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),  # no web fonts
        prevent_thread_lock=True,
        quiet=True,
    )
    return page


def build(home: Path) -> Any:
    """The page, a `gradio.Blocks`."""
    import gradio as gr

    roles, picture = ("visible", "infrared"), {"format": "png", "interactive": False}
    buttons = ["download", "fullscreen"]  # no sharing
    with gr.Blocks(title="CMMDL", analytics_enabled=False, delete_cache=(HOUR, KEPT)) as page:
        gr.Markdown(INTRODUCTION)
        files, sources = [], []
        with gr.Row():
            for role in roles:
                with gr.Column():
                    file_types = sorted(EXTENSIONS)
                    files.append(gr.File(label=f"{role} picture", file_types=file_types, height=140, elem_id=role))
                    sources.append(gr.Image(label=role, height=240, buttons=buttons, **picture))
        with gr.Row():
            method = gr.Dropdown(list(net.METHODS), value="cmmdl", label="method", elem_id="method")
            protocol = gr.Dropdown(list(PROTOCOLS), value="cmmdl", label="scoring protocol")
            resize = gr.Checkbox(label="two sizes: bring infrared to the size of visible", elem_id="resize")
        with gr.Accordion("weights of your own", open=False):
            weights = gr.File(label="weights (without any: those that ship)", height=120, elem_id="weights")
        button = gr.Button("Fuse", variant="primary", elem_id="fuse")
        status = gr.Markdown(elem_id="status")
        with gr.Row():
            views = [gr.ImageSlider(label=f"{role} | fused", buttons=buttons, **picture) for role in roles]
        with gr.Row():
            labels = [f"difference |fused - {role}|" for role in roles]
            differences = [gr.Image(label=label, buttons=buttons, **picture) for label in labels]
        scores = gr.Markdown(elem_id="scores")
        download = gr.DownloadButton("Download the fused picture", interactive=False, elem_id="download")
        results = [status, *views, *differences, scores, download]

        def show(*uploaded: str | None) -> list[Any]:
            images, problems = [], []
            for file in uploaded:
                try:
                    images.append(preview(file) if file else None)
                except (ValueError, OSError) as error:
                    images.append(None)
                    problems.append(sentence(error, home))
            return [*images, "  \n".join(problems)]

        def run(*inputs: Any, progress: Any = gr.Progress()) -> list[Any]:  # noqa: B008 - how gradio passes it
            progress(0.1, desc="fusing and scoring")
            try:
                shown = fuse_inputs(home, *inputs)
            except (ValueError, OSError, MemoryError, RuntimeError) as error:  # torch's error for too little memory
                return [sentence(error, home), None, None, None, None, "", gr.DownloadButton(interactive=False)]
            return [
                "  \n".join(["Fused.", *map(as_markdown, shown.remarks)]),
                *((source, shown.fused) for source in (shown.vis, shown.ir)),
                *(shown.difference(source) for source in (shown.vis, shown.ir)),
                shown.scores,
                gr.DownloadButton(value=str(shown.file), interactive=True),
            ]

        in_turn = {"concurrency_id": "status"}  # both write it
        for file in files:
            file.change(show, files, [*sources, status], show_progress="hidden", **in_turn)
        button.click(run, [*files, method, weights, protocol, resize], results, show_progress_on=status, **in_turn)
    return page


def fuse_inputs(
    home: Path, vis: str | None, ir: str | None, method: str, weights: str | None, protocol: str, resize_ir: bool
) -> Shown:
    """What the page asks for. Raises ValueError with a sentence for what cannot be used."""
    if not (vis and ir):
        raise UsageError("two pictures are needed, a visible and an infrared one")
    for file in (vis, ir, weights):
        if file and not Path(file).exists():
            raise UsageError(f"{Path(file).name}: no longer there, as the page keeps a file for a day; drop it again")
    try:
        model = open_model(method, Path(weights) if weights else None)
    except UsageError:
        if weights:
            raise
        raise UsageError(f"no weights of {tables.label(method)} ship; drop a file of them under “weights”") from None
    folder = Path(tempfile.mkdtemp(dir=home))
    return fuse(vis, ir, name=method, fuser=net.Fuser(model), resize_ir=resize_ir, protocol=protocol, folder=folder)


def sentence(error: Exception, home: Path) -> str:
    """An error as the page shows it: its first line, with uploaded files by their names alone."""
    words = str(error).partition("\n")[0] or type(error).__name__
    return "**Cannot be used**: " + as_markdown(re.sub(rf"{re.escape(str(home))}/(\S*/)?", "", words))


def as_markdown(words: str) -> str:
    """Words that Markdown shows as they are: a message may quote a file, which must not bring pictures of its own."""
    return re.sub(r"([\\`*_\[\]<>&!#|~$])", r"\\\1", words)


if __name__ == "__main__":
    for number in SIGNALS:  # as Ctrl-C: what was uploaded is removed
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
