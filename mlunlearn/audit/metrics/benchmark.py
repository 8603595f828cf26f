"""Benchmark scores, the place of a score between doing nothing and retraining, and what unlearning cost.

Every function takes plain numbers and knows nothing about models.
"""

from __future__ import annotations

from mlunlearn.audit._checks import check_fraction, check_number

__all__ = ["efficiency", "forgetting_score", "nomus", "scaled_score"]


def forgetting_score(attack_accuracy: float) -> float:
    """Distance of a membership inference accuracy from coin tossing.

    Parameters
    ----------
    attack_accuracy : float
        Accuracy in [0, 1] of the attack that tells forget samples from unseen ones, see
        `mlunlearn.audit.attacks.membership.loss_attack`.

    Returns
    -------
    float
        ``|attack_accuracy - 0.5|``, in [0, 0.5]. Best is 0.

    Raises
    ------
    ValueError
        If the accuracy lies outside [0, 1].

    Notes
    -----
    A perfect model does not reach 0: with 1,500 samples on each side and identical losses the expected
    score is about 0.012 and one in twenty exceeds 0.023. Published tables print this score in the row
    named "MIA".

    References
    ----------
    "Towards Machine Unlearning Benchmarks: Forgetting the Personal Identities in Facial Recognition Systems",
    arXiv:2311.02240.

    Examples
    --------
    >>> forgetting_score(0.75)
    0.25
    """
    return abs(check_fraction(attack_accuracy, "attack_accuracy") - 0.5)


def nomus(utility: float, forgetting: float, *, weight: float = 0.5) -> float:
    """Normalised machine unlearning score: utility and forgetting in one figure.

    Parameters
    ----------
    utility : float
        Accuracy on test data in [0, 1]; for several labels per sample their mean accuracy.
    forgetting : float
        The forgetting score in [0, 0.5], see `forgetting_score`.
    weight : float, default=0.5
        Share of the utility, in [0, 1].

    Returns
    -------
    float
        ``weight * utility + (1 - weight) * (1 - 2 * forgetting)``, in [0, 1]. Best is 1.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    A constant predictor has forgetting score 0 and so scores ``(utility + 1) / 2``: 0.5625 for guessing one
    of eight balanced classes. Always print the score of the constant predictor beside it.

    References
    ----------
    "Towards Machine Unlearning Benchmarks: Forgetting the Personal Identities in Facial Recognition Systems",
    arXiv:2311.02240.

    Examples
    --------
    >>> nomus(utility=0.125, forgetting=0.0)
    0.5625
    """
    share = check_fraction(weight, "weight")
    useful = check_fraction(utility, "utility")
    leaked = check_fraction(forgetting, "forgetting", upper=0.5)
    return share * useful + (1.0 - share) * (1.0 - 2.0 * leaked)


def scaled_score(unlearned: float, original: float, reference: float) -> float:
    """Position of a measurement between the original model (0) and an independently retrained one (1).

    Parameters
    ----------
    unlearned : float
        The measurement on the unlearned model.
    original : float
        The same measurement on the original model, where nothing was forgotten.
    reference : float
        The same measurement on a second retrained model: the null.

    Returns
    -------
    float
        0 if nothing changed, 1 if the null is reached. Not clipped: below 0 things became worse, above 1 the
        measurement went past the null. NaN if original and reference are equal, where the scale does not
        exist.

    Raises
    ------
    ValueError
        If a value is NaN or infinite.

    Examples
    --------
    >>> scaled_score(unlearned=0.25, original=0.5, reference=0.0)
    0.5
    """
    start = check_number(original, "original")
    span = check_number(reference, "reference") - start
    return (check_number(unlearned, "unlearned") - start) / span if span != 0.0 else float("nan")


def efficiency(seconds_unlearn: float, seconds_retrain: float) -> dict[str, float]:
    """Time of an unlearning request and its gain over retraining.

    Parameters
    ----------
    seconds_unlearn, seconds_retrain : float
        Wall time of the two computations on the same machine, data already loaded, evaluation excluded.
        Positive.

    Returns
    -------
    dict of str to float
        ``"seconds"``, the time of unlearning (lower is better), and ``"speedup"``, retraining time over
        unlearning time (higher is better, 1 is no gain).

    Raises
    ------
    ValueError
        If a time is not a positive finite number.

    Notes
    -----
    The name RTE is printed for either quantity in the literature; the two names used here cannot be mixed up.

    Examples
    --------
    >>> efficiency(seconds_unlearn=2.0, seconds_retrain=8.0)
    {'seconds': 2.0, 'speedup': 4.0}
    """
    seconds = check_number(seconds_unlearn, "seconds_unlearn")
    retrain = check_number(seconds_retrain, "seconds_retrain")
    if seconds <= 0.0 or retrain <= 0.0:
        raise ValueError(f"times must be positive, got {seconds!r} and {retrain!r} seconds.")
    return {"seconds": seconds, "speedup": retrain / seconds}
