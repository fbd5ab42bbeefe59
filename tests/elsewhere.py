"""A device that is none: tensors that claim to lie on a GPU, and tell what leaves and reaches it.

    with elsewhere() as moved:
        W = there(W)
        recover(W.magnitude(there(x)), W)
    moved.planes(W)  # how many tensors as large as a scalogram went to or fro

As on a GPU, tensors of both devices do not go into one operation, and numpy reads none from there.
Numbers that Python asks for (``float``, ``bool``) are not counted: they are no arrays.
"""

import contextlib
import copy

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

CUDA, MPS = torch.device("cuda", 0), torch.device("mps", 0)
DOUBLE = torch.float64, torch.complex128


class There(torch.Tensor):
    """Hold a tensor in `kept`, and do with it what is done with this one."""

    kept: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, kept):
        if _Traffic.place == MPS and kept.dtype in DOUBLE:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        made = torch.Tensor._make_wrapper_subclass(
            cls, kept.size(), kept.stride(), kept.storage_offset(), dtype=kept.dtype
        )
        made.kept = kept
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        given = []

        def taken(value):
            if isinstance(value, torch.Tensor):
                given.append(value)
            return value.kept if isinstance(value, There) else value

        args, kwargs = tree_map(taken, args), tree_map(taken, kwargs or {})
        if any(not isinstance(x, There) and x.ndim for x in given):
            raise RuntimeError(f"{func} got tensors on {_Traffic.place} and on the CPU")
        back = {id(x.kept): x for x in given if isinstance(x, There)}

        def made(value):
            if not isinstance(value, torch.Tensor):
                return value
            # What an operation writes in place is the tensor that it was given.
            return back[id(value)] if id(value) in back else There(value.resolve_conj())

        return tree_map(made, func(*args, **kwargs))

    device = property(lambda self: _Traffic.place)
    is_cuda = property(lambda self: _Traffic.place == CUDA)

    def to(self, *args, **kwargs):
        device, others = _target(args, kwargs)
        if device is not None and device.type == "cpu":
            return _Traffic.now.count(self.detach().kept.clone()).to(*others)
        return super().to(*others) if others else self

    def cpu(self):
        return self.to("cpu")

    def tolist(self):
        return self.cpu().tolist()

    def numpy(self):
        raise TypeError(f"can't convert {_Traffic.place} device type tensor to numpy")

    def __array__(self, *args, **kwargs):
        return self.numpy()

    def __deepcopy__(self, memo):
        return There(self.kept.clone())


def _target(args, kwargs):
    """Find (device or None, dtypes) that arguments of ``Tensor.to`` ask for."""
    device, others = None, []
    for asked in [*args, *(kwargs[k] for k in ("device", "dtype", "other") if k in kwargs)]:
        if isinstance(asked, torch.Tensor):
            device, others = asked.device, [asked.dtype]
        elif isinstance(asked, str | torch.device):
            device = torch.device(asked)
        elif isinstance(asked, torch.dtype):
            others = [asked]
    return device, others


class _Traffic(TorchFunctionMode):
    """Carry tensors there that are sent or made there, and count what is sent either way."""

    now: "_Traffic"
    place = CUDA

    def __init__(self, place):
        super().__init__()
        self.sizes = []
        _Traffic.now, _Traffic.place = self, place

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.Tensor.to and not isinstance(args[0], There):
            device, others = _target(args[1:], kwargs)
            if device == self.place:
                return There(self.count(args[0].detach().to(*others).clone()))
        if kwargs.get("device") == self.place:
            return There(func(*args, **{k: v for k, v in kwargs.items() if k != "device"}))
        return func(*args, **kwargs)

    def count(self, x):
        """Note the size of what is on the way; a number alone is none."""
        self.sizes += [x.numel()] if x.ndim else []
        return x

    def planes(self, W):
        """Count tensors of at least half as many numbers as a scalogram of W has."""
        return sum(2 * size >= W.n_freqs * W.n_samples for size in self.sizes)


@contextlib.contextmanager
def elsewhere(place=CUDA):
    """Let there be the device, MPS without double precision; give what counts the traffic."""
    with _Traffic(place) as traffic:
        yield traffic


def there(thing):
    """Copy a tensor or a transform to the device, uncounted."""
    if isinstance(thing, torch.Tensor):
        return There(thing.clone())
    return copy.deepcopy(thing)._apply(there)
