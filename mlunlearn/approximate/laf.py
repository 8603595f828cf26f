"""Label-agnostic forgetting: move embeddings of the rows to forget away from what they looked like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.divergences import cosine_distance
from mlunlearn.networks.embeddings import Autoencoder, Gaussian, fit_autoencoder, fit_gaussian
from mlunlearn.networks.loop import Descent, adam
from mlunlearn.parameters import check_choice, check_count, check_flag, check_positive

ROWS_PER_DIMENSION = 10
"""Rows that an autoencoder needs for each dimension of its code."""


class LAFClassifier(EditedClassifier):
    r"""Forget without a single label, by moving embeddings.

    The head of the network stays as it is. Of its embeddings :math:`e_\theta(x)` one variational autoencoder
    :math:`h` describes what those of the training data look like, and another, :math:`h_f`, those of the rows to
    forget. With :math:`m_h(e) = \|h(e) - e\|^2`, bounded by :math:`\psi(m) = \exp(m / (1 + m))`, and with
    :math:`s(x) = 1 - \cos(e_\theta(x), e_{\theta^*}(x))`, two steps follow one another for every pair of a batch
    :math:`B_r` of retained rows and a batch :math:`B_f` of rows to forget: one down the loss of extractor unlearning

    .. math:: L_{UE} = \sum_{x \in B_r} \psi(m_h(e_\theta(x))) - \sum_{x \in B_f} \psi(m_{h_f}(e_\theta(x)))

    and one, by an optimiser of its own, down that of representation alignment

    .. math:: L_{RA} = \sum_{x \in B_r} s(x) - |B_r| \log \sum_{x \in B_f} e^{s(x) / \tau}

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    max_epochs : int, default=20
        Passes over the rows to forget, or over the retained ones where those are fewer.
    lr : float, default=5e-5
        Learning rate of Adam in extractor unlearning.
    align_lr : float, default=1e-4
        Learning rate of Adam in representation alignment.
    temperature : float, default=20
        :math:`\tau`.
    n_latent : int, default=8
        Length of the codes of the autoencoders.
    decoder : {'sigmoid', 'linear'}, default='sigmoid'
        What the autoencoders end with. The first, the published one, cannot rebuild embeddings outside of 0 to 1.
    standardize : bool, default=False
        Describe embeddings less their mean, over their standard deviation.
    reference : {'all', 'retain'}, default='all'
        Rows that :math:`h` describes: the retained ones, or those to forget with them, as published.
    few_rows : {'gaussian', 'refuse'}, default='gaussian'
        What to do where an autoencoder has fewer than ten rows for each of `n_latent`: describe them by a Gaussian
        and its Mahalanobis distance, or refuse the request.
    autoencoder_epochs : int, default=10
        Passes of an autoencoder over its embeddings.
    batch_size : int or None, default=32
        Rows of a step, on which the losses depend, since they are sums; None takes the network's own.
    head : str or None, default=None
        Name of the submodule that turns embeddings into outputs; None takes the last linear layer.
    random_state : int, RandomState instance or None, default=None
        Seeds training and forgetting.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : TorchClassifier or Pipeline
        The model after forgetting.
    classes_, n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    Notes
    -----
    Guarantee: approximate. Needs the inputs of the retained rows and of those to forget, and no label. Changes all
    weights but those of the head; the network stays in evaluation mode, so that the statistics of batch normalisation
    do not move. Cost: one pass over all rows for their embeddings, then `max_epochs` passes over the smaller side and
    as many rows of the other, each with two steps. The receipt names the head and what describes each side. Fails
    where embeddings say little, and where the published decoder saturates: the reconstruction error is then large, and
    only the scale invariance of Adam keeps the network moving. At a large temperature the second loss hardly sees the
    rows to forget. The default rates are the published ones, for thousands of steps: a few dozen move a network hardly
    at all.

    See Also
    --------
    LAFRClassifier : Repairs the head afterwards, with some labels.

    References
    ----------
    "Label-Agnostic Forgetting: A Supervision-Free Unlearning in Deep Models", arXiv:2404.00506. `published` gives
    its settings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import LAFClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> LAFClassifier(net, random_state=0).fit(X, y).unlearn([3, 17, 60]).receipts_[-1].work.details
    {'head': '2', 'retain': 'autoencoder', 'forget': 'gaussian'}
    """

    needs = frozenset({"retain", "forget"})

    def __init__(
        self,
        estimator: Any,
        *,
        max_epochs: int = 20,
        lr: float = 5e-5,
        align_lr: float = 1e-4,
        temperature: float = 20.0,
        n_latent: int = 8,
        decoder: Literal["sigmoid", "linear"] = "sigmoid",
        standardize: bool = False,
        reference: Literal["all", "retain"] = "all",
        few_rows: Literal["gaussian", "refuse"] = "gaussian",
        autoencoder_epochs: int = 10,
        batch_size: int | None = 32,
        head: str | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.max_epochs = max_epochs
        self.lr = lr
        self.align_lr = align_lr
        self.temperature = temperature
        self.n_latent = n_latent
        self.decoder = decoder
        self.standardize = standardize
        self.reference = reference
        self.few_rows = few_rows
        self.autoencoder_epochs = autoencoder_epochs
        self.batch_size = batch_size
        self.head = head
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(
        cls,
        estimator: Any,
        *,
        data: Literal["mnist", "cifar10"] = "cifar10",
        scenario: Literal["data", "class", "noise"] = "data",
        **others: Any,
    ) -> Self:
        """Use the settings of the authors' code.

        Parameters
        ----------
        estimator : as for the class
            The network.
        data : {'mnist', 'cifar10'}, default='cifar10'
            Of their experiments: a small convolutional network on MNIST and Fashion-MNIST, or ResNet-18 on CIFAR-10
            and SVHN.
        scenario : {'data', 'class', 'noise'}, default='data'
            What is forgotten: rows of some classes, a class, or rows with wrong labels.
        **others
            Further parameters of the class.

        Returns
        -------
        LAFClassifier
            Unfitted.
        """
        check_choice("data", data, ("mnist", "cifar10"))
        check_choice("scenario", scenario, ("data", "class", "noise"))
        small = {"n_latent": 8, "max_epochs": 20, "lr": 5e-5, "align_lr": 1e-4}
        large = {"n_latent": 16, "max_epochs": 40, "lr": 1e-5, "align_lr": 5e-5 if scenario == "class" else 4e-5}
        low = {("mnist", "data"), ("cifar10", "noise")}
        settings = small if data == "mnist" else large
        temperature = 5.0 if (data, scenario) in low else 20.0
        return cls(estimator, **{**settings, "temperature": temperature, "few_rows": "refuse", **others})

    def _check_settings(self) -> None:
        check_choice("decoder", self.decoder, ("sigmoid", "linear"))
        check_choice("reference", self.reference, ("all", "retain"))
        check_choice("few_rows", self.few_rows, ("gaussian", "refuse"))
        check_flag("standardize", self.standardize)
        for name in ("max_epochs", "n_latent", "autoencoder_epochs"):
            check_count(name, getattr(self, name))
        for name in ("lr", "align_lr", "temperature"):
            check_positive(name, getattr(self, name))
        check_count("batch_size", self.batch_size, optional=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        self._refuse_few(len(forget))
        head, batch_size = run.head, self.batch_size or run.batch_size
        extractor = [p for p in head.extractor(module) if p.requires_grad]
        if not extractor:
            raise ValueError(
                f"all weights that may change belong to the head {head.name!r} of {type(module).__name__}, and this "
                "method moves embeddings; name a smaller part by head=."
            )
        view, described, describing = self._describe(run, batch_size)
        n_pairs = min(forget.n_steps(batch_size), retain.n_steps(batch_size))
        with (
            Descent(module, adam(self.lr), mode="eval", parameters=extractor) as separation,
            Descent(module, adam(self.align_lr), mode="eval", parameters=extractor) as alignment,
        ):
            for epoch in run.progress(range(self.max_epochs), "moving embeddings"):
                kept = retain.steps(batch_size, n_pairs, run.seed(f"retain {epoch}"))
                gone = forget.steps(batch_size, n_pairs, run.seed(f"forget {epoch}"))
                for pair in zip(kept, gone, strict=True):
                    embedded = [view(head.embed(module, batch.X)) for batch in pair]
                    distances = [model.distance(e) for model, e in zip(describing, embedded, strict=True)]
                    separation.step(separation_loss(*distances))
                    kept_moved, gone_moved = (_moved(run, module, batch) for batch in pair)
                    alignment.step(alignment_loss(kept_moved, gone_moved, self.temperature))
        return {"head": head.name, **described}

    def _refuse_few(self, n_rows: int) -> None:
        enough = ROWS_PER_DIMENSION * self.n_latent
        if self.few_rows == "refuse" and n_rows < enough:
            raise ValueError(
                f"there are {n_rows} rows to forget, too few for an autoencoder with n_latent={self.n_latent}, which "
                f"needs {enough}; lower n_latent, or take few_rows='gaussian'."
            )

    def _describe(
        self, run: Run, batch_size: int
    ) -> tuple[Callable[[Tensor], Tensor], dict[str, str], list[Autoencoder | Gaussian]]:
        """Fit what describes the embeddings before: first those of the retained rows, then those to forget."""
        retain, forget = (_embeddings(run, rows, batch_size) for rows in (run.retain, run.forget))
        reference = torch.cat([retain, forget]) if self.reference == "all" else retain
        mean, deviation = torch.zeros(()).to(retain), torch.ones(()).to(retain)
        if self.standardize:
            deviation, mean = torch.std_mean(reference, dim=0, correction=0)
            deviation[deviation == 0] = 1

        def view(embeddings: Tensor) -> Tensor:
            return (embeddings.flatten(start_dim=1) - mean) / deviation

        scale = view(reference).var(dim=0, correction=0).mean().item()
        sides = {"retain": view(reference), "forget": view(forget)}
        models = [self._model_of(side, embeddings, scale, run) for side, embeddings in sides.items()]
        return view, {side: type(m).__name__.lower() for side, m in zip(sides, models, strict=True)}, models

    def _model_of(self, side: str, embeddings: Tensor, scale: float, run: Run) -> Autoencoder | Gaussian:
        if len(embeddings) < ROWS_PER_DIMENSION * self.n_latent:
            return fit_gaussian(embeddings, scale)
        return fit_autoencoder(
            embeddings,
            self.n_latent,
            output=self.decoder,
            max_epochs=self.autoencoder_epochs,
            seed=run.seed(f"autoencoder of {side}"),
        )


@torch.no_grad()
def _embeddings(run: Run, rows: Rows, batch_size: int) -> Tensor:
    found = [run.head.embed(run.original, batch.X) for batch in rows.in_order(batch_size)]
    return torch.cat(found).flatten(start_dim=1)


def _moved(run: Run, module: nn.Module, batch: Batch) -> Tensor:
    """How far the embeddings of a batch have turned away from those before."""
    return cosine_distance(run.head.embed(module, batch.X), run.head.embed(run.original, batch.X))


def bounded(distance: Tensor) -> Tensor:
    r"""Bound distances by :math:`\psi(m) = \exp(m / (1 + m))`.

    Parameters
    ----------
    distance : torch.Tensor
        Not negative.

    Returns
    -------
    torch.Tensor
        Increasing, from 1 to e.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.laf import bounded
    >>> bounded(torch.tensor([0.0])).item()
    1.0
    """
    return (distance / (1 + distance)).exp()


def separation_loss(retain: Tensor, forget: Tensor) -> Tensor:
    """Loss of extractor unlearning: low where retained rows look as before, and rows to forget do not.

    Parameters
    ----------
    retain, forget : torch.Tensor of shape (n_retain,) and (n_forget,)
        Distances of the rows of two batches from what describes their side.

    Returns
    -------
    torch.Tensor of shape ()
        Sums over rows.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.laf import separation_loss
    >>> separation_loss(torch.zeros(3), torch.zeros(2)).item()
    1.0
    """
    return bounded(retain).sum() - bounded(forget).sum()


def alignment_loss(retain: Tensor, forget: Tensor, temperature: float) -> Tensor:
    """Loss of representation alignment: low where embeddings of retained rows stay, and those of the others turn.

    Parameters
    ----------
    retain, forget : torch.Tensor of shape (n_retain,) and (n_forget,)
        One minus the cosine between an embedding and what it was before.
    temperature : float
        Divides those of the rows to forget.

    Returns
    -------
    torch.Tensor of shape ()
        Sums over rows.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.laf import alignment_loss
    >>> round(alignment_loss(torch.zeros(32), torch.zeros(32), 20.0).item(), 2)
    -110.9
    """
    return retain.sum() - len(retain) * torch.logsumexp(forget / temperature, dim=0)
