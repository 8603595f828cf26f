"""What can go wrong, each with its own name.

All of them are raised before anything changes: after the exception the model is what it was before the call.
"""


class ForgetRequestError(ValueError):
    """A request to forget that cannot be served as it was made.

    The message says what was wrong with it, what was expected and what to do instead.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import ForgetRequestError, Retrain
    >>> model = Retrain(LogisticRegression()).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> try:
    ...     model.unlearn([-1])
    ... except ForgetRequestError as error:
    ...     print(error)
    forget_idx holds the negative position -1; positions count from 0 in the data given to fit (4 rows).
    """


class UnknownIdError(ForgetRequestError, KeyError):
    """A request names a sample id, a label or a class that the model was never fitted on.

    Ids and labels that are forgotten already may be unknown, too. Nothing is ever reported as forgotten that was not
    there: an unknown name is an error, not an empty request.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import Retrain, UnknownIdError
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> model = Retrain(LogisticRegression()).fit(X, y, sample_ids=["ann", "bob", "cy", "dee"])
    >>> try:
    ...     model.unlearn(forget_ids=["eve"])
    ... except UnknownIdError as error:
    ...     print(str(error).partition(" (")[0])
    forget_ids holds 1 id(s) that fit was not given, the first is 'eve'; nothing was forgotten.
    """

    __str__ = ValueError.__str__  # KeyError would print the repr of the message


class DataChangedError(RuntimeError):
    """The training data differs from what `fit` saw, so retraining on it would not give the promised model.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import DataChangedError, Retrain
    >>> X, y = np.arange(6.0).reshape(6, 1), np.array([0, 0, 0, 1, 1, 1])
    >>> model = Retrain(LogisticRegression()).fit(X, y)
    >>> X[3] = 100.0
    >>> try:
    ...     model.unlearn([0])
    ... except DataChangedError:
    ...     print("the rows to retrain on were edited after fit")
    the rows to retrain on were edited after fit
    """


class DataNotAttachedError(RuntimeError):
    """A model that was reloaded holds no training data; `attach_data` gives it back.

    Examples
    --------
    >>> import pickle
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import DataNotAttachedError, Retrain
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> model = pickle.loads(pickle.dumps(Retrain(LogisticRegression()).fit(X, y)))
    >>> try:
    ...     model.unlearn([0])
    ... except DataNotAttachedError:
    ...     print(len(model.attach_data(X, y).unlearn([0]).receipts_))
    1
    """


class UnlearningWarning(UserWarning):
    """Something is allowed but probably not meant.

    Examples
    --------
    >>> import warnings
    >>> from mlunlearn import UnlearningWarning
    >>> warnings.simplefilter("error", UnlearningWarning)
    """
