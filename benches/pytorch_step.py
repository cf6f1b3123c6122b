"""The training step that `refig bench step` measures, in PyTorch: the networks of section 4.2 and of Table 1,
channels_last, SGD with momentum, random images. Prints one JSON object with the same keys; with --serve one for each
line that it reads, which is how `refig bench compare` takes turns with it.

    pip install -r benches/requirements.txt
    python benches/pytorch_step.py --network resnet-20 --batch 128 --steps 20 --threads 2
    python benches/pytorch_step.py --network resnet-20 --device cuda --mode graphs --steps 200

On a GPU steps follow each other without waiting: timed are bunches of them, from an idle GPU to an idle GPU, with the
losses read at the end. `fp32` is that of IEEE 754: TF32, which PyTorch lets cuDNN use by default, is switched off.
"""

import argparse
import json
import math
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

# Steps before the first measured one.
WARM_UP = 3
# Steps that a GPU is given before their losses are read, as refig gives them.
BUNCH = 20

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


def device_of(name):
    """The device; ends with one line where it is not there."""
    if name == "cpu":
        return torch.device("cpu")
    if name.split(":")[0] != "cuda":
        sys.exit(f"--device {name}: write cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        sys.exit(f"--device {name}: PyTorch {torch.__version__} finds no usable NVIDIA GPU")
    number = name.partition(":")[2] or "0"
    if not number.isdigit() or int(number) >= torch.cuda.device_count():
        sys.exit(f"--device {name}: PyTorch finds {torch.cuda.device_count()} GPUs, numbered from 0")
    return torch.device("cuda", int(number))


def set_precision(precision):
    """Of products of 32-bit floats on a GPU: theirs, or TF32's eleven bits. For bf16 see `forward`."""
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


def steps(mode, precision, device, model, optimiser, images, labels):
    """A function that takes one step and gives its loss, still on the device; warmed up."""
    if mode == "compile":
        # On a GPU with CUDA graphs inside.
        model = torch.compile(model, mode="reduce-overhead" if device.type == "cuda" else "default")

    def forward():
        # Weights stay 32-bit floats; the loss is computed in them too.
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            return model(images)

    def eager():
        optimiser.zero_grad(set_to_none=True)
        if mode == "compile" and device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()
        loss = F.cross_entropy(forward().float(), labels)
        loss.backward()
        optimiser.step()
        return loss.detach()

    if mode != "graphs":
        for _ in range(WARM_UP):
            eager()
        return eager
    # The whole step as one graph: first on a stream of its own, as capture demands, then captured.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            eager()
    torch.cuda.current_stream().wait_stream(side)
    optimiser.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        static = F.cross_entropy(forward().float(), labels)
        static.backward()
        optimiser.step()

    def replay():
        graph.replay()
        # The next replay writes the same place.
        return static.detach().clone()

    return replay


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--network", default="resnet-20")
    arguments.add_argument("--shortcut", choices=["A", "B", "C"])
    arguments.add_argument("--image-size", type=int)
    arguments.add_argument("--batch", type=int, default=128)
    arguments.add_argument("--steps", type=int, default=20)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    arguments.add_argument("--mode", choices=["eager", "graphs", "compile"], default="eager")
    arguments.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="fp32")
    arguments.add_argument("--serve", action="store_true")
    arguments = arguments.parse_args()
    if arguments.steps < 1:
        sys.exit(f"--steps {arguments.steps}: at least 1")
    device = device_of(arguments.device)
    on_gpu = device.type == "cuda"
    if not on_gpu and (arguments.mode == "graphs" or arguments.precision != "fp32"):
        sys.exit(f"--mode {arguments.mode} --precision {arguments.precision}: graphs, tf32 and bf16 are for --device cuda")
    set_precision(arguments.precision)
    if on_gpu:
        torch.cuda.set_device(device)
        # Measures which of its convolutions is the fastest, in the warm-up.
        torch.backends.cudnn.benchmark = True
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model, size, classes = build(arguments.network, arguments.shortcut, arguments.image_size)
    model = model.to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    images = torch.randn(arguments.batch, 3, size, size).to(device, memory_format=torch.channels_last)
    labels = torch.randint(0, classes, (arguments.batch,)).to(device)
    operations = 2e-9 * multiply_adds(model, images) * arguments.batch
    step = steps(arguments.mode, arguments.precision, device, model, optimiser, images, labels)
    # On the CPU every step by itself, with its loss.
    bunch = BUNCH if on_gpu else 1

    def wait():
        if on_gpu:
            torch.cuda.synchronize()

    def seconds(count):
        """A step's share of `count` steps, with their losses read at the end."""
        wait()
        start = time.perf_counter()
        losses = torch.stack([step() for _ in range(count)]).tolist()
        wait()
        taken = (time.perf_counter() - start) / count
        # A step that computes nothing would be fast.
        if not all(math.isfinite(loss) for loss in losses):
            sys.exit(f"a loss of {losses} is not a number")
        return taken

    def report():
        left, times = arguments.steps, []
        while left > 0:
            times.append(seconds(min(bunch, left)))
            left -= bunch
        median = statistics.median(times)
        how = "channels_last" + (f", {arguments.precision}" if on_gpu else "")
        found = {
            "network": arguments.network,
            "image_size": size,
            "batch": arguments.batch,
            "steps": arguments.steps,
            "threads": arguments.threads,
            "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
            "mode": arguments.mode,
            "instructions": f"PyTorch {torch.__version__} {how}",
            "median_ms": median * 1e3,
            "min_ms": min(times) * 1e3,
            "images_per_second": arguments.batch / median,
            "gflops": operations / median,
            "peak_share": None,
            "peak_memory_mb": None if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(found), flush=True)

    if arguments.serve:
        for _ in sys.stdin:
            report()
    else:
        report()


main()
