"""The training step that `refig bench step` measures, in PyTorch: CIFAR networks with option A shortcuts, channels_last,
SGD with momentum, random images. Prints one JSON object with the same keys.

    python benches/pytorch_step.py --network resnet-20 --batch 128 --steps 20 --threads 2
"""

import argparse
import json
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, residual):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.residual, self.stride, self.extra = residual, stride, outputs - inputs

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.residual:
            if self.extra:
                x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))
            y = y + x
        return F.relu(y, inplace=True)


class Cifar(nn.Module):
    def __init__(self, family, depth):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        blocks, inputs = [], 16
        for stage in range(3):
            for place in range((depth - 2) // 6):
                stride = 2 if stage and not place else 1
                blocks.append(Block(inputs, 16 << stage, stride, family == "resnet"))
                inputs = 16 << stage
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn1(self.conv1(x)), inplace=True))
        return self.fc(x.mean((2, 3)))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--network", default="resnet-20")
    arguments.add_argument("--batch", type=int, default=128)
    arguments.add_argument("--steps", type=int, default=20)
    arguments.add_argument("--threads", type=int, default=2)
    arguments = arguments.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    family, depth = arguments.network.lower().split("-")
    model = Cifar(family, int(depth)).to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    images = torch.randn(arguments.batch, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (arguments.batch,))
    times = []
    for step in range(2 + arguments.steps):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimiser.step()
        loss.item()
        if step >= 2:
            times.append(time.perf_counter() - start)
    median = statistics.median(times)

    # As refig counts: convolutions and classifier, three times forward, less the gradient of the images.
    side, multiply_adds = 32, 2 * 32 * 32 * 27 * 16
    for block in model.blocks:
        side //= block.stride
        for conv in (block.conv1, block.conv2):
            multiply_adds += 3 * side * side * conv.weight.numel()
    multiply_adds += 3 * 640
    print(
        json.dumps(
            {
                "network": arguments.network,
                "batch": arguments.batch,
                "threads": arguments.threads,
                "instructions": f"pytorch {torch.__version__} channels_last",
                "median_ms": median * 1e3,
                "min_ms": min(times) * 1e3,
                "images_per_second": arguments.batch / median,
                "gflops": 2e-9 * multiply_adds * arguments.batch / median,
                "peak_share": None,
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


main()
