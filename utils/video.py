"""Two synchronised videos fused frame by frame, without flicker and with a file that plays as far as it got."""

import itertools
import math
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from data.files import instead_of_file
from data.interrupt import StopRequest
from data.progress import progress_bar
from data.words import counted
from net.fuser import PERCENTILES, Fuser, to_uint8, to_unit
from utils.failures import limits_in_plain_words, tile_advice
from utils.inputs import resize

CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG"}
MEMORY = 0.95  # how much of the running range a frame keeps: it remembers about a second at 25 frames
FALLBACK_FPS = 25.0
MAX_RATIO = 1.02  # frame rates that differ by less count as equal
MAX_TICKS = 65535  # MPEG-4 divides a second into so many at most; the frame rate is rounded to fit
ROOM = 16 * 2**20  # bytes left on the disk for one more frame and, at the end, the index without which no file plays
SLACK = 2  # frames by which a header's count may be off without anything being wrong


class VideoError(ValueError):
    """A video that cannot be used; the message is one sentence with the file, what was found and what was expected."""


@dataclass
class RunningRange:
    """Stretches frames to the full range by black and white points that move slowly, so that nothing flickers.

    Both are exponential averages of the frames' 0.1 and 99.9 percentiles; the first frame sets them.
    """

    memory: float = MEMORY
    points: np.ndarray | None = field(default=None, init=False)

    def __call__(self, frame: Tensor) -> Tensor:
        """A frame (1, C, H, W), its range mapped to [0, 1] and clipped."""
        found = np.percentile(frame.numpy(), PERCENTILES)
        self.points = found if self.points is None else self.memory * self.points + (1 - self.memory) * found
        low, high = (float(point) for point in self.points)
        return ((frame - low) / max(high - low, 1e-3)).clamp(0, 1)


@dataclass(frozen=True)
class Done:
    """How many frames were written, what ended the video early, and what else one should know ("" if nothing)."""

    frames: int
    problem: str = ""
    warning: str = ""


class VideoFile:
    """The frames of one video file as RGB of 8 bits; grey of 16 bits (thermal counts) by a running range."""

    def __init__(self, path: Path) -> None:
        if problem := instead_of_file(path):
            raise VideoError(f"{path}: {problem}; expected a video")
        self.path, self.capture = path, cv2.VideoCapture(for_opencv(path))
        self.size = tuple(int(self.capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if not self.capture.isOpened() or 0 in self.size:
            raise VideoError(f"{path}: not a video that OpenCV can read; expected mp4, avi, mov or mkv")
        self.count = max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))  # as the header claims; 0: unknown
        self.fps = self.capture.get(cv2.CAP_PROP_FPS)
        depth = deep_grey(self.capture)
        if depth == "gray16le":
            self.capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)  # else OpenCV gives the upper 8 bits
        elif depth:
            raise VideoError(f"{path}: {depth} pixels; expected at most 8 bits, or gray16le (ffmpeg -pix_fmt gray16le)")
        self.stretch = RunningRange()  # of 16 bits
        self.seconds = 0.0  # from the first frame to the one read last

    def __iter__(self) -> Iterator[np.ndarray]:
        while True:
            there, frame = self.capture.read()
            if not there:
                return
            self.seconds = self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if frame.dtype == np.uint16:
                counts = torch.from_numpy(frame.astype(np.float32))[None, None]
                yield cv2.cvtColor(to_uint8(self.stretch(counts), stretch=False), cv2.COLOR_GRAY2RGB)
            else:
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def deep_grey(capture: cv2.VideoCapture) -> str:
    """What FFmpeg calls a video's grey pixels of more than 8 bits, as gray16le; "" for others."""
    code = (int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)) % 2**32).to_bytes(4, "little")
    little, big = code[:2] == b"Y1", code[2:] == b"1Y"
    return f"gray{code[3]}le" if little else f"gray{code[0]}be" if big else ""


def for_opencv(path: Path) -> str:
    """A path as OpenCV takes it. Raises VideoError for a name that is no text, at which it would end the program."""
    try:
        name = path if path.is_absolute() else f"./{path}"  # without ./, "12:30.mp4" would be an address
        return str(name).encode().decode()
    except UnicodeEncodeError:
        raise VideoError(f"{path}: a name that is not UTF-8; OpenCV needs another for a video") from None


def fuse_video(vis: Path, ir: Path, out: Path, fuser: Fuser, *, resize_ir: bool = False, limit: int = 0) -> Done:
    """Fuse two video files frame by frame into a third, without sound.

    Args:
        vis, ir: the two files; frame n of one belongs to frame n of the other.
        out: .mp4, .m4v, .mov or .avi. Whatever ends the run early, the file is closed and plays up to there; before the
            first frame there is none, and an earlier one stays.
        fuser: gives luminance and colour; its `stretch` does not count, the range moves slowly instead.
        resize_ir: bring infrared frames to the visible's size; False refuses two sizes.
        limit: only so many frames; 0 takes all.

    Raises:
        VideoError: before anything is written, for files that cannot be opened, have no frame or do not fit together;
            and as `writer` does.
        OutOfMemory: a frame does not fit; those before it are in the file.
    """
    sources = VideoFile(vis), VideoFile(ir)
    if sources[0].size != sources[1].size and not resize_ir:
        sizes = " and ".join(f"{s.path.name} {s.size[0]}x{s.size[1]}" for s in sources)
        raise VideoError(f"{sizes}; expected one size (--resize ir brings infrared to the size of visible)")
    fps = sources[0].fps if sources[0].fps > 0 else FALLBACK_FPS
    stretch, written = RunningRange(), 0
    total = min((n for n in (sources[0].count, sources[1].count, limit) if n), default=None)
    with ExitStack() as stack:
        write = stack.enter_context(writer(out, fps, sources[0].size))
        bar = stack.enter_context(progress_bar(total=total, desc=out.name, unit="frame"))
        for frames in itertools.zip_longest(*(itertools.islice(source, limit or None) for source in sources)):
            if any(frame is None for frame in frames):
                break
            write(fuse_frame(fuser, *frames, stretch))
            written += 1
            bar.update()
        else:  # both ended at once
            frames = (None, None)
        if not written:
            empty = " and ".join(str(s.path) for s, frame in zip(sources, frames, strict=True) if frame is None)
            raise VideoError(f"{empty}: no frame that OpenCV can read; expected at least one")
    return Done(written, _ending(sources, frames, written, limit), _other_rates(*sources))


def fuse_frame(fuser: Fuser, vis: np.ndarray, ir: np.ndarray, stretch: RunningRange) -> np.ndarray:
    """One fused RGB frame of two; the luminance is stretched by the running range before it gets its colour."""
    if vis.shape != ir.shape:
        ir = resize(ir, vis.shape[:2])
    with limits_in_plain_words(tile_advice(fuser.tile)), torch.inference_mode():
        vis, ir = map(to_unit, (vis, ir))
        return to_uint8(fuser.colour(stretch(fuser.luminance(vis, ir)), vis), stretch=False)


@contextmanager
def writer(path: Path, fps: float, size: tuple[int, int]) -> Iterator:
    """A function that appends RGB frames to a video file, which is closed and named however the block ends.

    Without a frame there is no file, and an earlier one of that name stays. OpenCV writes only even sizes and cuts the
    rest off, so of an odd size the last column or row is written twice.

    Args:
        path: its extension is one of `CODECS`.
        fps: frames a second.
        size: width and height of the frames that the function takes, uint8 (H, W, 3).

    Raises:
        VideoError: it cannot be written; the disk is nearly full, and the frames before are in the file; or that does
            not hold them all, as where the disk was full sooner.
    """
    if path.suffix.lower() not in CODECS:
        raise VideoError(f"{path}: extension '{path.suffix}'; expected one of {', '.join(CODECS)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(4)}.part{path.suffix}")  # short: the final name may be as long as any
    codec, count = CODECS[path.suffix.lower()], 0
    right, bottom = (length % 2 for length in size)
    even = size[0] + right, size[1] + bottom
    digits = max(0, int(math.log10(MAX_TICKS / fps)))
    video = cv2.VideoWriter(for_opencv(part), cv2.VideoWriter_fourcc(*codec), round(fps, digits), even)
    if not video.isOpened():
        raise VideoError(f"{path}: cannot be written as {codec}, {even[0]}x{even[1]}, {fps:g} frames a second")

    def write(frame: np.ndarray) -> None:
        nonlocal count
        if shutil.disk_usage(path.parent).free < ROOM:  # OpenCV does not report a full disk
            done = counted(count, "frame")
            raise VideoError(f"{path}: less than {ROOM >> 20} MB left on the disk after {done}; expected more")
        whole = cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        video.write(cv2.cvtColor(whole, cv2.COLOR_RGB2BGR))
        count += 1

    try:
        yield write
    finally:
        with StopRequest():  # one more Ctrl-C waits until the frames have their name
            video.release()
            try:
                held = int(cv2.VideoCapture(for_opencv(part)).get(cv2.CAP_PROP_FRAME_COUNT)) if count else 0
                if held < count:
                    found = f"holds {max(held, 0)} of {counted(count, 'frame')}"
                    raise VideoError(f"{path}: {found}; expected room on the disk for all")
                if count:
                    part.replace(path)
            finally:
                part.unlink(missing_ok=True)


def _other_rates(vis: VideoFile, ir: VideoFile) -> str:
    """A warning where two videos have different frame rates; "" if they are the same, or the headers have none."""
    slower, faster = sorted((vis.fps, ir.fps))
    if slower > 0 and faster > MAX_RATIO * slower:
        rates = f"{vis.path.name} has {vis.fps:g} frames a second, {ir.path.name} {ir.fps:g}"
        return f"{rates}; frame n of one was fused with frame n of the other, which is another moment"
    return ""


def _ending(sources: tuple[VideoFile, VideoFile], last: tuple, written: int, limit: int) -> str:
    """What ended the two videos early, in words; "" if both ended together where their headers say."""
    ended = [source for source, frame in zip(sources, last, strict=True) if frame is None]
    if limit and written >= limit:
        return ""
    broken = [source for source in ended if _lacks_frames(source, written)]
    if broken:
        claims = " and ".join(f"{s.path.name} of {s.count}" for s in broken)
        return f"frame {written + 1} cannot be read in {claims}; the video ends after {counted(written, 'frame')}"
    if len(ended) == 1:
        longer = next(source for source in sources if source is not ended[0])
        more = counted(longer.count, "frame") if longer.count else "more"
        found = f"{ended[0].path.name} has {counted(written, 'frame')}, {longer.path.name} {more}"
        return f"{found}; expected as many in both"
    return ""


def _lacks_frames(source: VideoFile, read: int) -> bool:
    """Whether the frames read are fewer than the header claims. Of mkv and webm that is their duration in frames of one
    rate: where the rate changes, fewer may reach the end."""
    claimed = source.count - SLACK
    return claimed > read and claimed > source.seconds * source.fps * read / max(1, read - 1)
