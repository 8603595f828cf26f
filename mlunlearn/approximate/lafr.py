"""LAF+R: label-agnostic forgetting, and a short repair of the head with some labels."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from mlunlearn.approximate.laf import LAFClassifier
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.loop import adam
from mlunlearn.parameters import check_count, check_positive


class LAFRClassifier(LAFClassifier):
    r"""Forget as `LAFClassifier` does, then fit the head to the moved embeddings of some labelled retained rows.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    n_labelled : int, default=200
        Labelled retained rows for each class that stays, on average: they are drawn from all retained rows.
    repair_epochs : int, default=1
        Passes of the head over them.
    repair_lr : float, default=0.001
        Learning rate of Adam in the repair.
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
        What the autoencoders end with.
    standardize : bool, default=False
        Describe embeddings less their mean, over their standard deviation.
    reference : {'all', 'retain'}, default='all'
        Rows that the first autoencoder describes.
    few_rows : {'gaussian', 'refuse'}, default='gaussian'
        What to do where an autoencoder has fewer than ten rows for each of `n_latent`.
    autoencoder_epochs : int, default=10
        Passes of an autoencoder over its embeddings.
    batch_size : int or None, default=32
        Rows of a step; None takes the network's own.
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
    Guarantee: approximate. Needs the inputs of all rows and the labels of retained ones, of which `n_labelled` a class
    are read; never reads a label of a row to forget. Changes all weights, and no statistics of batch normalisation.
    Cost: that of `LAFClassifier`, and `repair_epochs` passes of the head over the labelled rows. How many rows and
    passes the paper took for the repair is not in its code; the defaults are ours.

    See Also
    --------
    LAFClassifier : The equations, and what the parameters in common mean.

    References
    ----------
    "Label-Agnostic Forgetting: A Supervision-Free Unlearning in Deep Models", arXiv:2404.00506.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import LAFRClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> model = LAFRClassifier(net, n_labelled=10, random_state=0).fit(X, y).unlearn(classes=[2])
    >>> model.receipts_[-1].work.details["labelled"]
    20
    """

    needs = frozenset({"retain", "retain_labels", "forget"})

    def __init__(
        self,
        estimator: Any,
        *,
        n_labelled: int = 200,
        repair_epochs: int = 1,
        repair_lr: float = 1e-3,
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
        super().__init__(
            estimator,
            max_epochs=max_epochs,
            lr=lr,
            align_lr=align_lr,
            temperature=temperature,
            n_latent=n_latent,
            decoder=decoder,
            standardize=standardize,
            reference=reference,
            few_rows=few_rows,
            autoencoder_epochs=autoencoder_epochs,
            batch_size=batch_size,
            head=head,
            random_state=random_state,
            verbose=verbose,
        )
        self.n_labelled = n_labelled
        self.repair_epochs = repair_epochs
        self.repair_lr = repair_lr

    def _check_settings(self) -> None:
        super()._check_settings()
        for name in ("n_labelled", "repair_epochs"):
            check_count(name, getattr(self, name))
        check_positive("repair_lr", self.repair_lr)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        details = super()._edit(module, forget, retain, run)
        n_rows = self.n_labelled * (run.n_outputs - len(run.classes))
        labelled = retain.draw(n_rows, run.seed("labelled rows"))
        run.descend(
            module,
            run.training_loss(module),
            labelled.passes(self.batch_size or run.batch_size, self.repair_epochs, run.seed("repair")),
            optimizer=adam(self.repair_lr),
            mode="eval",
            parameters=[p for p in run.head.parameters(module) if p.requires_grad],
            label="repairing the head",
        )
        return {**details, "labelled": len(labelled)}
