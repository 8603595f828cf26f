"""The base of methods that edit a trained network: what a method is given, what it may read, and what is put right."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import MetaEstimatorMixin
from sklearn.utils import Tags
from torch import Tensor, nn

from mlunlearn.approximate.reading import NEEDS, Reader
from mlunlearn.approximate.run import Run
from mlunlearn.base import UnlearnerMixin
from mlunlearn.nets.seeds import seeded
from mlunlearn.networks.adoption import adopt, as_network, final_of, is_trained_elsewhere, refit_steps, steps_of
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.fresh import Rebuild, untrained
from mlunlearn.parameters import check_words
from mlunlearn.receipts import Receipt, Work
from mlunlearn.requests import ForgetRequest
from mlunlearn.rows.data import Block
from mlunlearn.rows.dataset_rows import is_dataset
from mlunlearn.rows.items import Items
from mlunlearn.state import Guarantee, Task
from mlunlearn.training.disk import keep_off_disk
from mlunlearn.training.estimators import fresh_copy, inherit_tags
from mlunlearn.training.seeds import derive_seeds

TRAINING, EDITING = 1, 2
"""What derived seeds are for."""

WHY = "the network would learn something else from it"


class HeldOut:
    """Rows for calibration: shared between copies of a model in memory, and never saved with one.

    Parameters
    ----------
    block : Block or None
        The rows.
    """

    def __init__(self, block: Block | None):
        self.block = block

    def __deepcopy__(self, memo: dict[int, Any]) -> HeldOut:
        return self

    def __reduce__(self) -> tuple[type[HeldOut], tuple[None]]:
        """Save that there were some."""
        return HeldOut, (None,)


class EditedModel(MetaEstimatorMixin):
    """Base of methods that edit the weights of a trained network; see `EditedClassifier` for how to write one."""

    guarantee: ClassVar[Guarantee] = "approximate"
    needs: ClassVar[frozenset[str]]
    moves_buffers: ClassVar[bool] = False
    takes_held_out: ClassVar[bool] = False
    _task: ClassVar[Task]
    _private_state: ClassVar[tuple[str, ...]] = (*UnlearnerMixin._private_state, "_held_out")

    estimator: Any
    random_state: Any

    if TYPE_CHECKING:  # what the contract, a method, and a kind of target bring along
        n_samples_fit_: int
        receipts_: tuple[Receipt, ...]
        seed_: int
        _data: Any
        get_params: Callable[..., dict[str, Any]]
        _attach: Callable[..., Any]
        _check_training_input: Callable[..., tuple[Any, Any, Any]]
        _fit_anew: Callable[..., Any]
        _read: Callable[..., Block]
        _retained: Callable[[], np.ndarray]
        _retained_without: Callable[[np.ndarray], np.ndarray]

        def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> Mapping[str, Any] | None: ...

        def _encode(self, y: np.ndarray) -> Tensor: ...

        def _outputs_and_loss(self) -> tuple[Any, Any]: ...

    @property
    def _needs_forgotten(self) -> bool:
        return "forget" in self.needs

    def _check_parameters(self) -> None:
        check_words(self.get_params(deep=False))
        self._check_settings()

    def _check_settings(self) -> None:
        """Refuse parameters of a method's own that make no sense; called before any training and each request."""

    # ---------------------------------------------------------------- fit

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        sample_ids: Any = None,
        id_key: bytes | None = None,
        exclude: Any = None,
        held_out: Any = None,
    ) -> Self:
        """Train the network, or take over one that is trained, and remember the data.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, ...), torch.utils.data.Dataset or dict of arrays
            Training inputs; the model keeps a reference. Items of a map-style dataset are read when a batch needs
            them, and a few at once, to tell the dataset from another. Arrays by name go to the network by name.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; None takes a dataset's ``targets`` or ``labels``, or reads every item once.
        sample_weight : None
            Networks take none.
        sample_ids : array-like of shape (n_samples,) or None, default=None
            Ids of records, persons or sources, which `unlearn` takes as ``forget_ids``.
        id_key : bytes of length 16 or more, or None, default=None
            Secret key of the hashes under which ids are kept; never saved, see `attach_key`.
        exclude : array-like of int, boolean mask or slice, default=None
            Rows to leave out, as if they had been forgotten already.
        held_out : tuple (X, y), Dataset or None, default=None
            Rows that the network was not trained on, for methods that calibrate themselves; never saved. Other methods
            refuse them.

        Returns
        -------
        self
            The fitted model.

        Raises
        ------
        ValueError
            If a parameter makes no sense, or the input is not what the network takes; an earlier fit is left as it was.
        """
        return self._fit_anew(X, y, sample_weight, sample_ids, id_key, exclude, held_out=held_out)

    def _fit(self, held_out: Any = None) -> None:
        self._check_parameters()
        self._check_needs(held_out)
        if self._data.weight is not None:
            raise ValueError(f"{type(self).__name__} edits a torch network, which takes no sample_weight.")
        retained = self._retained()
        self.estimator_ = self._adopted(retained) if is_trained_elsewhere(self.estimator) else self._trained(retained)
        self._held_out = HeldOut(self._read_held_out(held_out))

    def _check_needs(self, held_out: Any) -> None:
        unknown = self.needs - NEEDS
        if unknown:
            raise TypeError(
                f"{type(self).__name__}.needs names {sorted(unknown)[0]!r}, expected some of {sorted(NEEDS)}."
            )
        self._refuse_held_out(held_out)
        if "held_out" in self.needs and held_out is None:
            raise ValueError(f"{type(self).__name__} calibrates itself: call fit(X, y, held_out=(X_other, y_other)).")
        if "initial" in self.needs and is_trained_elsewhere(self.estimator):
            raise ValueError(
                f"{type(self).__name__} needs the initial weights of the training, which a FrozenEstimator does not "
                "bring; pass the unfitted estimator."
            )

    def _refuse_held_out(self, held_out: Any) -> None:
        if held_out is not None and not self.takes_held_out and "held_out" not in self.needs:
            raise ValueError(f"{type(self).__name__} has no use for held-out rows; leave held_out out.")

    def _adopted(self, retained: np.ndarray) -> Any:
        trained, few = self.estimator.estimator, self._data.block(retained[:2]).X
        few = few.read() if isinstance(few, Items) else few
        return adopt(trained, self._task, few, self._data.labels(retained))

    def _trained(self, retained: np.ndarray) -> Any:
        block = self._data.block(retained)
        seed = derive_seeds(self.seed_, TRAINING)[0]
        model = keep_off_disk(fresh_copy(as_network(self.estimator, self._task), seed), type(self).__name__)
        with seeded(seed):
            return model.fit(block.X, block.y)

    def _read_held_out(self, held_out: Any) -> Block | None:
        if held_out is None:
            return None
        X, y = (held_out, None) if is_dataset(held_out) else held_out
        X, y, _ = self._check_training_input(X, y, None, reset=False)
        return Block(X, y)

    # ------------------------------------------------------------ unlearn

    def _unlearn(self, request: ForgetRequest) -> Work:
        self._check_parameters()
        left = self._retained_without(request.rows)
        served, self.estimator_ = self.estimator_, copy.deepcopy(self.estimator_)
        final = final_of(self.estimator_)
        final.net_.initialize_history()  # it holds losses of the rows that go
        root = derive_seeds(self.seed_, EDITING, len(self.receipts_))[0]
        with seeded(root, final.net_.device), self._refitted(self.estimator_, left):
            run, readers = self._prepare(served, request, left, root)
            with _put_right(run.module, self.moves_buffers):
                details = self._edit(run.module, run.forget, run.retain, run)
        samples = sum(reader.samples for reader in readers)
        return Work(samples=samples, full=len(left) * final.max_epochs, details=dict(details or {}))

    @contextmanager
    def _refitted(self, model: Any, left: np.ndarray) -> Iterator[None]:
        """Fit what stands around the network anew on the rows that are left, while it is edited."""
        if steps_of(model):
            block = self._read(left, WHY)
            refit_steps(model, block.X, block.y)
        yield

    def _prepare(self, served: Any, request: ForgetRequest, left: np.ndarray, root: int) -> tuple[Run, list[Reader]]:
        model, final = self.estimator_, final_of(self.estimator_)
        module = final.net_.module_.eval()
        forget = np.zeros(self.n_samples_fit_, dtype=bool)
        forget[request.rows] = True
        reader = Reader(partial(self._read, why=WHY), module, self._encode, forget, self.needs, steps_of(model))
        aside = self._held_out_reader(model)
        outputs, loss = self._outputs_and_loss()
        batch_size = final.net_.batch_size
        run = Run(
            request=request,
            module=module,
            before=final_of(served).net_.module_ if self._task == "classifier" else copy.deepcopy(module),
            forget=Rows(request.rows, reader),
            retain=Rows(left, reader),
            held_out=None if aside is None else aside.everything,
            classes=self._numbers_of(request.classes),
            n_outputs=self._n_outputs(),
            batch_size=batch_size if batch_size > 0 else len(left),
            epochs=final.max_epochs,
            root=root,
            read_outputs=outputs,
            criterion=loss,
            read_labels=reader.labels,
            fresh_network=lambda seed: untrained(final)(seed),
            initial_network=self._initial if "initial" in self.needs else None,
            needs=self.needs,
            head_name=getattr(self, "head", None),
            verbose=getattr(self, "verbose", 0),
        )
        return run, [reader] if aside is None else [reader, aside]

    def _held_out_reader(self, model: Any) -> Reader | None:
        block = self._held_out.block
        if block is None:
            if "held_out" in self.needs:
                raise ValueError("held_out is never saved with a model; call attach_data(X, y, held_out=(X, y)).")
            return None
        none = np.zeros(len(block), dtype=bool)
        module = final_of(model).net_.module_
        return Reader(block.take, module, self._encode, none, {"retain", "retain_labels"}, steps_of(model))

    def _initial(self) -> nn.Module:
        final = final_of(self.estimator_)
        return Rebuild(final)(final.random_state)

    def _numbers_of(self, classes: tuple[Any, ...]) -> tuple[int, ...]:
        return ()

    def _n_outputs(self) -> int:
        raise NotImplementedError

    # --------------------------------------------------------------- data

    def attach_data(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        erased: Any = None,
        erased_ids: Any = None,
        held_out: Any = None,
    ) -> Self:
        """Give a reloaded model its training data back.

        Parameters
        ----------
        X, y : as given to `fit`
            All rows given to `fit`, of which those forgotten since, and those in `erased`, may hold anything; or the
            retained rows alone, or without those in `erased`, in the same order. Items of a dataset that are erased are
            not read, unless it has no attribute ``targets`` and `y` is not given.
        sample_weight : None
            Networks take none.
        erased : array-like of int, boolean mask, slice or labels, default=None
            Rows that were erased at the source already and are to be forgotten next. They are never read, and the next
            request has to forget them all. Methods that read what they forget refuse it.
        erased_ids : str, int or iterable of them, default=None
            The same by the ids given to ``fit(..., sample_ids=...)``.
        held_out : tuple (X, y), Dataset or None, default=None
            As given to `fit`.

        Returns
        -------
        self
            The model, able to unlearn again.

        Raises
        ------
        ValueError
            If the number of rows fits no form, or if the method reads what it forgets and rows are erased.
        DataChangedError
            If the other rows are not those the model was fitted on.
        """
        return self._attach(X, y, sample_weight, erased, erased_ids, held_out)

    def _take_data(  # type: ignore[override]
        self, X: Any, y: Any, sample_weight: Any, erased: Any = None, erased_ids: Any = None, held_out: Any = None
    ) -> None:
        self._refuse_held_out(held_out)
        super()._take_data(X, y, sample_weight, erased, erased_ids)
        self._held_out = HeldOut(self._read_held_out(held_out))

    def __sklearn_tags__(self) -> Tags:
        return inherit_tags(super().__sklearn_tags__(), as_network(self.estimator, self._task))


@contextmanager
def _put_right(module: nn.Module, moves_buffers: bool) -> Iterator[None]:
    """Restore what an edit may not change: modes, gradient flags and, unless the method moves them, buffers."""
    modes = {part: part.training for part in module.modules()}
    flags = {parameter: parameter.requires_grad for parameter in module.parameters()}
    buffers = {} if moves_buffers else {name: buffer.clone() for name, buffer in module.named_buffers()}
    yield
    for part, training in modes.items():
        part.training = training
    for parameter, flag in flags.items():
        parameter.requires_grad_(flag)
        parameter.grad = None
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            if name in buffers:
                buffer.copy_(buffers[name])
    wild = [name for name, value in module.state_dict().items() if not bool(torch.isfinite(value).all())]
    if wild:
        raise FloatingPointError(f"{wild[0]} is not finite after the edit; try a smaller step.")
