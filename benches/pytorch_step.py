"""The training step that `refig bench step` measures, in PyTorch: the networks of section 4.2 and of Table 1,
channels_last, SGD with momentum, random images. Prints one JSON object with the same keys; with --serve one for each
line that it reads, which is how `refig bench compare` takes turns with it.

    pip install -r benches/requirements.txt
    python benches/pytorch_step.py --network resnet-20 --batch 128 --steps 20 --threads 2
"""

import argparse
import json
import resource
import statistics
import sys
import time

try:
    import torch
except ImportError as missing:
    sys.exit(f"cannot import torch: {missing}")
from torch import nn
from torch.nn import functional as F

TABLE_1 = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}


def conv(inputs, outputs, kernel, stride):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """Convolutions with batch norm, the last one before the addition; option A, B or C where the shape changes."""

    def __init__(self, inputs, plan, residual, option):
        super().__init__()
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        channels, stride = inputs, plan[0][1]
        for kernel, step, outputs in plan:
            self.convs.append(conv(channels, outputs, kernel, step))
            self.norms.append(nn.BatchNorm2d(outputs))
            channels = outputs
        changes = stride != 1 or channels != inputs
        self.residual, self.stride, self.extra = residual, stride, channels - inputs
        self.subsample = residual and option == "A" and changes
        self.projection = None
        if residual and (option == "C" or option == "B" and changes):
            self.projection = nn.Sequential(conv(inputs, channels, 1, stride), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = x
        for place, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            y = norm(conv(y))
            if place + 1 < len(self.convs):
                y = F.relu(y, inplace=True)
        if self.residual:
            if self.projection is not None:
                x = self.projection(x)
            elif self.subsample:
                x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))
            y = y + x
        return F.relu(y, inplace=True)


class Network(nn.Module):
    def __init__(self, family, blocks, width, bottleneck, imagenet, option, classes):
        super().__init__()
        self.imagenet = imagenet
        self.conv1 = conv(3, width, 7, 2) if imagenet else conv(3, width, 3, 1)
        self.bn1 = nn.BatchNorm2d(width)
        stages, inputs = [], width
        for stage, count in enumerate(blocks):
            for place in range(count):
                stride, outputs = (2 if stage and not place else 1), width << stage
                if bottleneck:
                    plan = [(1, stride, outputs), (3, 1, outputs), (1, 1, 4 * outputs)]
                else:
                    plan = [(3, stride, outputs), (3, 1, outputs)]
                stages.append(Block(inputs, plan, family == "resnet", option))
                inputs = plan[-1][2]
        self.blocks = nn.Sequential(*stages)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        if self.imagenet:
            x = F.max_pool2d(x, 3, 2, 1)
        return self.fc(self.blocks(x).mean((2, 3)))


def build(name, option, size):
    family, depth = name.lower().split("-")
    depth = int(depth)
    if depth in TABLE_1 and (size or 224) >= 64:
        blocks, bottleneck = TABLE_1[depth]
        option = option or ("B" if bottleneck else "A")
        return Network(family, blocks, 64, bottleneck, True, option, 1000), size or 224, 1000
    blocks = [(depth - 2) // 6] * 3
    return Network(family, blocks, 16, False, False, option or "A", 10), size or 32, 10


def multiply_adds(model, images):
    """As refig counts: convolutions and classifier, three times forward, less the gradient of the images."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        times = 2 if module is model.conv1 else 3
        positions = output.shape[2] * output.shape[3] if output.dim() == 4 else 1
        total += times * positions * module.weight.numel()

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    model.eval()
    with torch.no_grad():
        model(images[:1])
    model.train()
    for hook in hooks:
        hook.remove()
    return total


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--network", default="resnet-20")
    arguments.add_argument("--shortcut", choices=["A", "B", "C"])
    arguments.add_argument("--image-size", type=int)
    arguments.add_argument("--batch", type=int, default=128)
    arguments.add_argument("--steps", type=int, default=20)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--serve", action="store_true")
    arguments = arguments.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model, size, classes = build(arguments.network, arguments.shortcut, arguments.image_size)
    model = model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    images = torch.randn(arguments.batch, 3, size, size).to(memory_format=torch.channels_last)
    labels = torch.randint(0, classes, (arguments.batch,))
    operations = 2e-9 * multiply_adds(model, images) * arguments.batch

    def seconds():
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimiser.step()
        loss.item()
        return time.perf_counter() - start

    def report():
        times = [seconds() for _ in range(arguments.steps)]
        median = statistics.median(times)
        found = {
            "network": arguments.network,
            "image_size": size,
            "batch": arguments.batch,
            "steps": arguments.steps,
            "threads": arguments.threads,
            "instructions": f"PyTorch {torch.__version__} channels_last",
            "median_ms": median * 1e3,
            "min_ms": min(times) * 1e3,
            "images_per_second": arguments.batch / median,
            "gflops": operations / median,
            "peak_share": None,
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(found), flush=True)

    for _ in range(2):
        seconds()
    if arguments.serve:
        for _ in sys.stdin:
            report()
    else:
        report()


main()
