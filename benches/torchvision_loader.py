"""The loader that `refig bench loader` measures, in PyTorch: a DataLoader with a worker process for each thread, whose
pictures are read from files, decoded to RGB, scaled to a random shorter side with antialiasing, cropped, mirrored and stacked
as bytes; then turned to floats less a mean image. With `torchvision` pictures are decoded by torchvision.io and scaled by
transforms.v2; with `pillow` they are decoded by Pillow (or Pillow-SIMD, if that is installed), which scales the pixels of the
crop alone. Prints one JSON object for each of the two; with --serve one for each line that it reads, which names the one to
measure.

    pip install -r benches/requirements.txt
    taskset -c 0,1 python benches/torchvision_loader.py --data-dir imagenette2.tar --threads 2

Colour augmentation is left out, which refig's side has.
"""

import argparse
import json
import pathlib
import random
import sys
import tarfile
import tempfile
import time

try:
    import PIL
    import torch
    import torchvision
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset, Sampler
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms.v2 import functional as F
except ImportError as missing:
    sys.exit(f"cannot import torch and torchvision: {missing}")

# Section 3.4 of the paper.
SHORTER_SIDE = (256, 480)
# What refig divides inputs by.
DIVISOR = 64.0
ENDINGS = (".jpeg", ".jpg", ".png")


def with_torchvision(path, size):
    try:
        picture = decode_jpeg(read_file(path), mode=ImageReadMode.RGB)
    except RuntimeError:
        # Some of ImageNet's files are a PNG, or JPEGs in CMYK.
        with Image.open(path) as opened:
            picture = F.pil_to_tensor(opened.convert("RGB"))
    picture = F.resize(picture, [random.randint(*SHORTER_SIDE)], antialias=True)
    height, width = picture.shape[-2:]
    top, left = random.randint(0, height - size), random.randint(0, width - size)
    picture = F.crop(picture, top, left, size, size)
    return F.horizontal_flip(picture) if random.random() < 0.5 else picture


def with_pillow(path, size):
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    side = random.randint(*SHORTER_SIDE)
    width, height = picture.size
    if width <= height:
        across, down = side, side * height // width
    else:
        across, down = side * width // height, side
    left, top = random.randint(0, across - size), random.randint(0, down - size)
    # The crop in the picture's own pixels.
    box = (
        left * width / across,
        top * height / down,
        min((left + size) * width / across, width),
        min((top + size) * height / down, height),
    )
    picture = picture.resize((size, size), Image.Resampling.BILINEAR, box=box)
    if random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return F.pil_to_tensor(picture)


DECODERS = {"torchvision": with_torchvision, "pillow": with_pillow}


class Pictures(Dataset):
    def __init__(self, files, size, decoder):
        self.files, self.size, self.decoder = files, size, decoder

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return DECODERS[self.decoder](self.files[index], self.size)


class Passes(Sampler):
    """As many images as a turn takes: passes over the files, each in another order."""

    def __init__(self, files, count):
        self.files, self.count = files, count

    def __len__(self):
        return self.count

    def __iter__(self):
        left = self.count
        while left > 0:
            order = torch.randperm(self.files)[:left].tolist()
            left -= len(order)
            yield from order


def pictures(folder):
    """The training images in a folder, or in the folder `train` somewhere below it."""
    parts = [part for part in sorted(folder.rglob("train")) if part.is_dir()]
    root = parts[0] if parts else folder
    found = sorted(str(path) for path in root.rglob("*") if path.suffix.lower() in ENDINGS)
    if not found:
        sys.exit(f"--data-dir {folder}: no images in it")
    return found


def measure(arguments, files):
    mean = torch.full((3, arguments.size, arguments.size), 118.0)
    versions = f"PyTorch {torch.__version__}, torchvision {torchvision.__version__}, Pillow {PIL.__version__}"

    def loader(decoder):
        return DataLoader(
            Pictures(files, arguments.size, decoder),
            batch_size=arguments.batch,
            sampler=Passes(len(files), arguments.batch * arguments.batches),
            num_workers=arguments.threads,
            persistent_workers=True,
        )

    loaders = {decoder: loader(decoder) for decoder in DECODERS}

    def turn(decoder):
        if decoder not in loaders:
            sys.exit(f"{decoder!r}: write one of {', '.join(loaders)}")
        images = 0
        start = time.perf_counter()
        for batch in loaders[decoder]:
            inputs = batch.float().sub_(mean).mul_(1 / DIVISOR)
            images += len(inputs)
        seconds = time.perf_counter() - start
        if images != arguments.batch * arguments.batches:
            sys.exit(f"{images} images in place of {arguments.batch * arguments.batches}")
        found = {
            "decoder": decoder,
            "versions": versions,
            "threads": arguments.threads,
            "images_per_second": images / seconds,
        }
        print(json.dumps(found), flush=True)

    if arguments.serve:
        for line in sys.stdin:
            turn(line.strip())
        return
    for decoder in DECODERS:
        # The first turn starts the workers.
        for _ in loaders[decoder]:
            pass
        turn(decoder)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data-dir", type=pathlib.Path, required=True, help="a folder, or a tar, which is unpacked")
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--batches", type=int, default=20)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--size", type=int, default=224)
    arguments.add_argument("--serve", action="store_true")
    arguments = arguments.parse_args()
    if min(arguments.batch, arguments.batches, arguments.threads) < 1:
        sys.exit("--batch, --batches, --threads: at least 1 each")
    if not 1 <= arguments.size <= SHORTER_SIDE[0]:
        sys.exit(f"--size {arguments.size}: 1 to {SHORTER_SIDE[0]}")
    torch.set_num_threads(arguments.threads)
    if arguments.data_dir.is_dir():
        measure(arguments, pictures(arguments.data_dir))
        return
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(arguments.data_dir) as archive:
            archive.extractall(folder, filter="data")
        measure(arguments, pictures(pathlib.Path(folder)))


# Workers import this file where processes are not forked.
if __name__ == "__main__":
    main()
