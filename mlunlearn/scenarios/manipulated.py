"""Training data in which some rows are wrong: by their labels, or by a patch that calls up a label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from mlunlearn.parameters import check_count, check_share
from mlunlearn.scenarios.drawing import Mask, draw, known_names, read_labels, shared


@dataclass(frozen=True)
class Manipulated:
    """Training data in which some rows are wrong, and those of them that are found.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...) or None
        Inputs to train on; None where labels alone were manipulated and no inputs were given.
    y : ndarray of shape (n_samples,)
        Labels to train on.
    manipulated : ndarray of bool, shape (n_samples,)
        All rows that are wrong. A model that is to be compared with trains without them.
    forget : ndarray of bool, shape (n_samples,)
        Those that are handed to ``unlearn``: all of them, or those that were discovered.

    See Also
    --------
    label_noise, backdoor, class_confusion : Make them.

    Examples
    --------
    >>> from mlunlearn.scenarios import label_noise
    >>> wrong = label_noise([0, 1, 2] * 10, share=0.5, random_state=0)
    >>> int(wrong.forget.sum()), int(wrong.discovered(0.2, random_state=0).forget.sum())
    (15, 3)
    """

    X: Any
    y: NDArray[Any]
    manipulated: Mask
    forget: Mask

    def discovered(self, share: float, *, random_state: Any = None) -> Self:
        """Hand only some of the wrong rows to the unlearner; the others stay among the retained ones.

        Parameters
        ----------
        share : float
            Share of them that is found, between 0 and 1; at least one is.
        random_state : int, RandomState instance or None, default=None
            Seed.

        Returns
        -------
        Manipulated
            The same data. Retraining without the found rows is no reference then: wrong ones are left.

        Raises
        ------
        ValueError
            If the share is not between 0 and 1.

        References
        ----------
        "Corrective Machine Unlearning", arXiv:2402.14015.
        """
        check_share("share", share, zero=False)
        n_found = max(round(share * self.manipulated.sum()), 1)
        return replace(self, forget=draw(self.manipulated, n_found, check_random_state(random_state)))


def label_noise(
    y: ArrayLike, share: float = 0.6, *, classes: Any = None, X: Any = None, random_state: Any = None
) -> Manipulated:
    """Give some rows wrong labels, drawn uniformly from the other classes.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels.
    share : float, default=0.6
        Share of the rows of each of the classes, rounded.
    classes : label or sequence of labels, or None, default=None
        Classes whose rows are mislabelled; None takes all.
    X : array-like of shape (n_samples, ...) or None, default=None
        Inputs, which are passed on.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    Manipulated
        Rows to forget come with their wrong labels.

    Raises
    ------
    ValueError
        If a class is unknown, there is only one, or the share is not between 0 and 1.

    References
    ----------
    "Label-Agnostic Forgetting: A Supervision-Free Unlearning in Deep Models", arXiv:2404.00506, mislabels 60 per cent
    of each of the first five of ten classes.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.scenarios import label_noise
    >>> y = np.arange(20) % 4
    >>> wrong = label_noise(y, 0.6, classes=[0, 1], random_state=0)
    >>> bool((wrong.y[wrong.forget] != y[wrong.forget]).all()), int(wrong.forget.sum())
    (True, 6)
    """
    check_share("share", share, zero=False)
    y = read_labels(y)
    names, codes = np.unique(y, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"y holds the one class {names[0]!r}; wrong labels need another.")
    random, mask = check_random_state(random_state), np.zeros(len(y), dtype=bool)
    for name in names if classes is None else known_names(classes, y, "y"):
        own = y == name
        mask |= draw(own, round(share * own.sum()), random)
    if not mask.any():
        raise ValueError(f"share={share} of the rows of each of these classes is no row; take a larger one.")
    moved = codes.copy()
    moved[mask] = (codes[mask] + random.randint(1, len(names), mask.sum())) % len(names)
    return Manipulated(X, names[moved], mask, mask.copy())


@dataclass(frozen=True)
class Patch:
    """A square in the bottom right corner of images: the trigger of a backdoor.

    Parameters
    ----------
    value : float
        What its pixels are set to, in all channels, in the units of the images.
    size : int, default=3
        Its height and width.
    layout : str, default='CHW'
        Axes of one image by one letter each; H is height and W width, such as in ``'HW'``, ``'CHW'`` and ``'HWC'``.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.scenarios import Patch
    >>> Patch(value=9, size=1, layout="HW").on(np.zeros((1, 2, 2), dtype=int)).tolist()
    [[[0, 0], [0, 9]]]
    """

    value: float
    size: int = 3
    layout: str = "CHW"

    def __post_init__(self) -> None:
        check_count("size", self.size)
        if not isinstance(self.layout, str) or any(self.layout.count(axis) != 1 for axis in "HW"):
            raise ValueError(f"layout must name one axis H and one axis W, as 'CHW' does, got {self.layout!r}.")

    def on(self, X: ArrayLike, rows: Any = slice(None)) -> NDArray[Any]:
        """Paste it on images.

        Parameters
        ----------
        X : array-like of shape (n_images, ...)
            Images, whose further axes are those of `layout`; never changed.
        rows : ndarray of bool or int, or slice, default=all
            Which of them.

        Returns
        -------
        ndarray of shape (n_images, ...)
            A copy. Pasted on all test images, it shows what the backdoor does.

        Raises
        ------
        ValueError
            If the images have other axes or are smaller, or cannot hold the value.
        """
        X = np.array(X)
        if X.ndim != len(self.layout) + 1:
            raise ValueError(f"images of layout {self.layout!r} have {len(self.layout)} axes, got shape {X.shape[1:]}.")
        sides = {axis: length for axis, length in zip(self.layout, X.shape[1:], strict=True) if axis in "HW"}
        if min(sides.values()) < self.size:
            raise ValueError(f"a patch of {self.size} x {self.size} does not fit on images of shape {X.shape[1:]}.")
        if not np.array_equal(np.asarray(self.value).astype(X.dtype), self.value) and X.dtype.kind in "biu":
            raise ValueError(f"images of type {X.dtype} cannot hold the value {self.value!r}.")
        corner = tuple(slice(-self.size, None) if axis in sides else slice(None) for axis in self.layout)
        marked = X[rows]
        marked[:, *corner] = self.value
        X[rows] = marked
        return X


def backdoor(
    X: ArrayLike, y: ArrayLike, target: Any, n_rows: int = 100, *, patch: Patch | None = None, random_state: Any = None
) -> Manipulated:
    """Poison random rows: images get a patch, and the label that it is to call up.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Images; never changed.
    y : array-like of shape (n_samples,)
        True labels.
    target : label
        What poisoned images are labelled.
    n_rows : int, default=100
        Rows to poison, of any class.
    patch : Patch or None, default=None
        The trigger. None takes 3 x 3 pixels of the largest value in `X`, channels first where there are channels.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    Manipulated
        All poisoned rows are to be forgotten; see `Manipulated.discovered` where only some are known.

    Raises
    ------
    ValueError
        If `target` is no class, or there are too few rows.

    References
    ----------
    "Corrective Machine Unlearning", arXiv:2402.14015, poisons 100 to 1,000 images of CIFAR.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.scenarios import backdoor
    >>> X, y = np.zeros((50, 8, 8), dtype=np.uint8), np.arange(50) % 5
    >>> X[0, 0, 0] = 255
    >>> poisoned = backdoor(X, y, target=0, n_rows=10, random_state=0)
    >>> int(poisoned.X[poisoned.manipulated, -3:, -3:].min()), set(poisoned.y[poisoned.manipulated].tolist())
    (255, {0})
    """
    check_count("n_rows", n_rows)
    X, y = np.asarray(X), read_labels(y)
    if len(X) != len(y):
        raise ValueError(f"X has {len(X)} rows and y {len(y)}.")
    (target,) = known_names([target], y, "y")
    patch = patch or Patch(X.max().item(), layout="HW" if X.ndim == 3 else "CHW")
    mask = draw(np.ones(len(y), dtype=bool), _enough(n_rows, len(y)), check_random_state(random_state))
    return Manipulated(patch.on(X, mask), np.where(mask, target, y), mask, mask.copy())


def class_confusion(
    y: ArrayLike, first: Any, second: Any, n_rows: int = 500, *, X: Any = None, random_state: Any = None
) -> Manipulated:
    """Exchange the labels of some rows of two classes.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels.
    first, second : label
        The classes.
    n_rows : int, default=500
        Rows to relabel, half of them of each class; an odd one is of the first.
    X : array-like of shape (n_samples, ...) or None, default=None
        Inputs, which are passed on.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    Manipulated
        All relabelled rows are to be forgotten; see `Manipulated.discovered` where only some are known.

    Raises
    ------
    ValueError
        If a class is unknown or has too few rows, or both are the same.

    References
    ----------
    "Corrective Machine Unlearning", arXiv:2402.14015, confuses classes 3 and 5 of CIFAR-10.

    Examples
    --------
    >>> from mlunlearn.scenarios import class_confusion
    >>> y = ["cat", "cat", "dog", "dog", "bird"]
    >>> int((class_confusion(y, "cat", "dog", 2, random_state=0).y != y).sum())
    2
    """
    check_count("n_rows", n_rows, at_least=2)
    y = read_labels(y)
    pair = known_names([first, second], y, "y")
    if pair[0] == pair[1]:
        raise ValueError(f"first and second are both {first!r}; name two classes.")
    random, mask, labels = check_random_state(random_state), np.zeros(len(y), dtype=bool), y.copy()
    for own, other, size in zip(pair, pair[::-1], shared(n_rows, 2), strict=True):
        of_class = y == own
        drawn = draw(of_class, _enough(size, int(of_class.sum()), f" of class {own!r}"), random)
        labels[drawn] = other
        mask |= drawn
    return Manipulated(X, labels, mask, mask.copy())


def _enough(n: int, n_there: int, whose: str = "") -> int:
    if n >= n_there:
        raise ValueError(f"{n} rows are to be manipulated, and there are {n_there}{whose}; one has to stay as it is.")
    return n
