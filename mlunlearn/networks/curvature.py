"""Gradients of single samples, the Fisher information's diagonal, and products with curvature matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from mlunlearn.nets.casting import Inputs
from mlunlearn.networks.averages import averaged

Vector = dict[str, Tensor]
"""One tensor for each parameter that requires a gradient, by its name."""

Loss = Callable[[Tensor, Any], Tensor]
"""From the output for a batch, and its targets, to the mean loss."""


def trainable(module: nn.Module) -> Vector:
    """Return the parameters of a network that require gradients, by name.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    dict of str to torch.Tensor
        The values themselves, detached.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.curvature import trainable
    >>> list(trainable(torch.nn.Linear(2, 1)))
    ['weight', 'bias']
    """
    return {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}


def _run(module: nn.Module, parameters: Vector, X: Inputs) -> Tensor:
    output = (
        functional_call(module, parameters, (), X) if isinstance(X, dict) else functional_call(module, parameters, (X,))
    )
    return output[0] if isinstance(output, tuple) else output


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Let attention be computed by operations that can be differentiated twice and for each sample."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _one(value: Any) -> Any:
    """Give a sample the axis of a batch."""
    if isinstance(value, dict):
        return {name: part[None] for name, part in value.items()}
    return None if value is None else value[None]


def per_sample_gradients(module: nn.Module, loss: Loss, X: Inputs, y: Tensor | None = None) -> Vector:
    """Differentiate the loss of each sample by itself.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode: a layer that looks at the whole batch has no gradient of one sample.
    loss : callable
        From the output for one sample, with the axis of a batch, and its target to its loss.
    X : torch.Tensor of shape (n, ...) or dict of them
        Inputs.
    y : torch.Tensor of shape (n, ...) or None, default=None
        Targets; None for a loss without.

    Returns
    -------
    dict of str to torch.Tensor of shape (n, ...)
        By name of a parameter that requires a gradient.

    Raises
    ------
    ValueError
        If batch normalisation or dropout is in training mode.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import per_sample_gradients
    >>> net = torch.nn.Linear(2, 1, bias=False)
    >>> per_sample_gradients(net, lambda output, y: output.sum(), torch.eye(2))["weight"].tolist()
    [[[1.0, 0.0]], [[0.0, 1.0]]]
    """
    if any(part.training and not isinstance(part, nn.Sequential) for part in module.modules() if _looks_around(part)):
        raise ValueError("gradients of single samples need the network in evaluation mode; call module.eval() first.")
    parameters = trainable(module)
    axes = (None, 0, None if y is None else 0)

    def loss_of_one(values: Vector, x: Any, target: Any) -> Tensor:
        return loss(_run(module, values, _one(x)), _one(target))

    with _plain_attention():
        return vmap(grad(loss_of_one), in_dims=axes)(parameters, X, y)


def _looks_around(part: nn.Module) -> bool:
    return isinstance(part, (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd))


def fisher_diagonal(
    module: nn.Module, loss: Loss, batches: Iterable[tuple[Inputs, Tensor | None]], *, chunk: int = 64
) -> Vector:
    r"""Mean of the squared gradients of single samples, :math:`F_i = \mathbb{E}[(\partial \ell/\partial\theta_i)^2]`.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    loss : callable
        From the output for one sample, with the axis of a batch, and its target to its loss. With the cross entropy of
        true labels the result is what is called the empirical Fisher information.
    batches : iterable of (X, y)
        Inputs and targets; the result does not depend on how samples are put into batches.
    chunk : int, default=64
        Samples that are differentiated at once; memory grows with it, as ``chunk`` times the size of the network.

    Returns
    -------
    dict of str to torch.Tensor
        By name of a parameter that requires a gradient, in its shape and at least in float32.

    Notes
    -----
    The square of a batch's mean gradient is a different number: at batches of 64 it is a few per cent of this one.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import fisher_diagonal
    >>> net = torch.nn.Linear(1, 1, bias=False)
    >>> X = torch.tensor([[1.0], [-1.0]])
    >>> fisher_diagonal(net, lambda output, y: output.sum(), [(X, None)])["weight"].item()
    1.0
    """
    return mean_over_samples(torch.square, module, loss, batches, chunk=chunk)


def mean_over_samples(
    of: Callable[[Tensor], Tensor],
    module: nn.Module,
    loss: Loss,
    batches: Iterable[tuple[Inputs, Tensor | None]],
    *,
    chunk: int = 64,
) -> Vector:
    """Average something that is computed of the gradient of each sample, such as its square.

    Parameters
    ----------
    of : callable
        From gradients to numbers of the same shape.
    module, loss, batches, chunk : as in `fisher_diagonal`
        The same.

    Returns
    -------
    dict of str to torch.Tensor
        By name of a parameter that requires a gradient, in its shape and at least in float32.

    Raises
    ------
    ValueError
        If there are no samples.
    FloatingPointError
        If a mean is not finite.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.curvature import mean_over_samples
    >>> net = torch.nn.Linear(1, 1, bias=False)
    >>> X = torch.tensor([[1.0], [-3.0]])
    >>> mean_over_samples(torch.abs, net, lambda output, y: output.sum(), [(X, None)])["weight"].item()
    2.0
    """
    total = zeros(module)
    n = 0
    for X, y in batches:
        size = len(next(iter(X.values())) if isinstance(X, dict) else X)
        for start in range(0, size, chunk):
            part = slice(start, start + chunk)
            few = {name: value[part] for name, value in X.items()} if isinstance(X, dict) else X[part]
            gradients = per_sample_gradients(module, loss, few, None if y is None else y[part])
            for name, g in gradients.items():
                total[name] += of(g.to(total[name].dtype)).sum(dim=0)
        n += size
    if not n:
        raise ValueError("there are no samples to average over.")
    return averaged(total, n)


def zeros(module: nn.Module) -> Vector:
    """Make a vector to sum gradients in, at least in float32.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    dict of str to torch.Tensor
        By name of a parameter that requires a gradient, in its shape.
    """
    return {
        name: torch.zeros_like(p, dtype=torch.promote_types(p.dtype, torch.float32))
        for name, p in trainable(module).items()
    }


def hessian_product(module: nn.Module, loss: Loss, X: Inputs, y: Any, vector: Vector) -> Vector:
    r"""Multiply the Hessian of a batch's loss by a vector, :math:`\nabla^2 L\, v`.

    Parameters
    ----------
    module : torch.nn.Module
        In the mode it is in.
    loss : callable
        From the output for the batch, and its targets, to the mean loss.
    X, y : torch.Tensor of shape (n, ...) or dict of them
        Inputs and targets.
    vector : dict of str to torch.Tensor
        By name of a parameter that requires a gradient.

    Returns
    -------
    dict of str to torch.Tensor
        The product, in the shapes of `vector`.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import hessian_product
    >>> net = torch.nn.Linear(1, 1, bias=False)
    >>> X, v = torch.tensor([[3.0]]), {"weight": torch.tensor([[2.0]])}
    >>> hessian_product(net, lambda output, y: output.square().mean() / 2, X, None, v)["weight"].item()
    18.0
    """
    gradient = grad(lambda values: loss(_run(module, values, X), y))
    with _plain_attention():
        return jvp(gradient, (trainable(module),), (vector,))[1]


def gauss_newton_product(module: nn.Module, loss: Loss, X: Inputs, y: Any, vector: Vector) -> Vector:
    r"""Multiply the Gauss-Newton matrix by a vector, :math:`J^\top H_{out} J\, v`.

    It is the Hessian without the curvature of the network itself: never negative where the loss is convex in the
    output, and for cross entropy equal to the Fisher information.

    Parameters
    ----------
    module, loss, X, y, vector : as in `hessian_product`
        The same.

    Returns
    -------
    dict of str to torch.Tensor
        The product, in the shapes of `vector`.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import gauss_newton_product
    >>> net = torch.nn.Linear(1, 1, bias=False)
    >>> X, v = torch.tensor([[3.0]]), {"weight": torch.tensor([[2.0]])}
    >>> gauss_newton_product(net, lambda output, y: output.square().mean() / 2, X, None, v)["weight"].item()
    18.0
    """

    def output_of(values: Vector) -> Tensor:
        return _run(module, values, X)

    def loss_of_output(output: Tensor) -> Tensor:
        return loss(output, y)

    parameters = trainable(module)
    with _plain_attention():
        output, moved = jvp(output_of, (parameters,), (vector,))[:2]
        curved = jvp(grad(loss_of_output), (output,), (moved,))[1]
        return vjp(output_of, parameters)[1](curved)[0]


def dot(first: Vector, second: Vector) -> Tensor:
    """Inner product of two vectors.

    Parameters
    ----------
    first, second : dict of str to torch.Tensor
        With the same names.

    Returns
    -------
    torch.Tensor of shape ()
        In float64, which sums over millions of weights need.
    """
    return torch.stack([(first[name].double() * second[name].double()).sum() for name in first]).sum()


def add(first: Vector, second: Vector, scale: float | Tensor = 1.0) -> Vector:
    """Add a multiple of one vector to another.

    Parameters
    ----------
    first, second : dict of str to torch.Tensor
        With the same names.
    scale : float or torch.Tensor, default=1
        What `second` is multiplied by.

    Returns
    -------
    dict of str to torch.Tensor
        A new vector.
    """
    return {name: value + float(scale) * second[name] for name, value in first.items()}


def conjugate_gradients(
    product: Callable[[Vector], Vector],
    right: Vector,
    *,
    damping: float = 0.0,
    tol: float = 1e-6,
    max_iter: int = 100,
) -> Vector:
    r"""Solve :math:`(A + \lambda I)\, x = b` by conjugate gradients.

    Parameters
    ----------
    product : callable
        From :math:`v` to :math:`A v`, see `hessian_product` and `gauss_newton_product`. A symmetric matrix.
    right : dict of str to torch.Tensor
        :math:`b`.
    damping : float, default=0
        :math:`\lambda`.
    tol : float, default=1e-6
        Norm of the residual to reach, as a share of that of `right`.
    max_iter : int, default=100
        Products at most.

    Returns
    -------
    dict of str to torch.Tensor
        The solution, or the best within `max_iter`.

    Raises
    ------
    ArithmeticError
        If the matrix is not positive definite: raise `damping`, or take the Gauss-Newton product.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import conjugate_gradients
    >>> b = {"w": torch.tensor([4.0, 9.0])}
    >>> conjugate_gradients(lambda v: {"w": torch.tensor([2.0, 3.0]) * v["w"]}, b)["w"].tolist()
    [2.0, 3.0]
    """
    x = {name: torch.zeros_like(value) for name, value in right.items()}
    residual, direction = dict(right), dict(right)
    size = dot(residual, residual)
    enough = tol**2 * size
    for _ in range(max_iter):
        if size <= enough:
            break
        image = add(product(direction), direction, damping)
        curvature = dot(direction, image)
        if not curvature > 0:
            raise ArithmeticError(
                f"the curvature along a direction is {float(curvature):.3g}: the matrix is not positive definite. "
                "Raise the damping, or take the Gauss-Newton product."
            )
        step = size / curvature
        x, residual = add(x, direction, step), add(residual, image, -step)
        size, before = dot(residual, residual), size
        direction = add(residual, direction, size / before)
    return x
