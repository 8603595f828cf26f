"""Ids are hidden: an attacker who has the file and a list of candidates confirms nobody who was forgotten."""

import copy
import pickle
import struct
from hashlib import sha256
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB

from mlunlearn import (
    ForgetRequestError,
    Retrain,
    SISAClassifier,
    SISARegressor,
    UnknownIdError,
    make_unlearning_pipeline,
)
from mlunlearn.checks import learned_state, state_differences
from mlunlearn.checks.parts import walk
from mlunlearn.rows.hashing import hash_names, keyed
from mlunlearn.rows.ids import IdRegister

X, Y = load_iris(return_X_y=True)
N = len(Y)
IDS = np.array([f"person {row // 3}" for row in range(N)])
KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
MODELS = {
    "retrain": lambda: Retrain(GaussianNB(), random_state=0),
    "sisa": lambda: SISAClassifier(GaussianNB(), n_shards=3, n_slices=2, random_state=0),
    "pipeline": lambda: make_unlearning_pipeline(SISAClassifier(GaussianNB(), n_shards=3, random_state=0)),
}


@pytest.fixture(params=MODELS)
def make(request):
    return MODELS[request.param]


def reload(model):
    return pickle.loads(pickle.dumps(model)).attach_data(X, Y)


def gone(model):
    return np.flatnonzero(model.forgotten_).tolist()


def numbers_in(model):
    """Every integer that the pickle restores, and every eight bytes in a row: all that an attacker can compare."""
    saved = pickle.dumps(model)
    restored = [
        np.asarray(leaf).ravel() for _, leaf in walk(pickle.loads(saved)) if np.asarray(leaf).dtype.kind in "iu"
    ]
    windows = {struct.unpack_from("<Q", saved, start)[0] for start in range(len(saved) - 7)}
    return windows.union(*(values.tolist() for values in restored))


def guessed_hashes(name, seed):
    """What an attacker who has read the source and the file makes of a candidate."""
    keys = [b"mlunlearn ids %d" % seed, str(seed).encode(), struct.pack("<q", seed), b""]
    for key in keys:
        yield from hash_names([name], keyed(key)).tolist()


def confirmed(model, names):
    """Candidates of whom a keyed hash, under any key that the file gives away, is in it."""
    known = numbers_in(model)
    return [name for name in names if known.intersection(guessed_hashes(name, model.seed_))]


def test_without_a_key_nobody_who_was_forgotten_is_confirmed(make):
    people = sorted(set(IDS.tolist()))
    model = make().fit(X, Y, sample_ids=IDS)
    assert confirmed(model, people) == people  # the attack works, and says who is retained
    model.unlearn(forget_ids=["person 4", "person 30"]).unlearn([0, 1, 2])
    assert set(people) - set(confirmed(model, people)) == {"person 0", "person 4", "person 30"}
    for path, leaf in walk(model):  # the place among the shards would tell a part of the hash
        if path.endswith(("._cells[0]", "._rows[0]")):
            assert path.endswith("._rows[0]") or (leaf[model.forgotten_] == -1).all()
    excluded = make().fit(X, Y, sample_ids=IDS, exclude=model.forgotten_)
    assert confirmed(excluded, people) == confirmed(model, people)


def test_with_a_key_nobody_is_confirmed(make):
    model = make().fit(X, Y, sample_ids=IDS, id_key=KEY).unlearn(forget_ids="person 4")
    assert confirmed(model, sorted(set(IDS.tolist()))) == []
    saved = pickle.dumps(model)
    assert not any(KEY[start : start + 8] in saved for start in range(24))
    assert not any(
        isinstance(leaf, bytes) and leaf in KEY for _, leaf in walk(model) if isinstance(leaf, bytes) and leaf
    )
    assert hash_names(["person 7"], keyed(KEY))[0] in numbers_in(model)  # who has the key can confirm


def test_a_person_of_whom_a_row_is_left_stays_known(make):
    model = make().fit(X, Y, sample_ids=IDS).unlearn([12])
    assert gone(model.unlearn(forget_ids="person 4")) == [12, 13, 14]
    assert model.receipts_[-1].already.tolist() == []
    with pytest.raises(UnknownIdError, match=r"forgotten already is not known any more"):
        model.unlearn(forget_ids="person 4")


def test_tombstones_under_a_key_of_its_own(make):
    model = make().fit(X, Y, sample_ids=IDS, id_key=KEY).unlearn(forget_ids="person 4")
    model.unlearn(forget_ids=["person 4", "person 5"])
    assert model.receipts_[-1].already.tolist() == [12, 13, 14]
    assert model.receipts_[-1].rows.tolist() == [15, 16, 17]
    with pytest.raises(UnknownIdError, match=r"was not given, the first is 'nobody'; nothing was forgotten\.$"):
        model.unlearn(forget_ids="nobody")


def test_a_reloaded_model_asks_for_its_key(make):
    model = make().fit(X, Y, sample_ids=IDS, id_key=KEY).unlearn(forget_ids="person 4")
    reloaded = reload(model)
    with pytest.raises(ForgetRequestError, match=r"never saved.*model\.attach_key\(key\)"):
        reloaded.unlearn(forget_ids="person 5")
    assert gone(reloaded.unlearn([0])) == [0, 12, 13, 14]  # positions need no key, as the ids are texts
    with pytest.raises(ValueError, match="not the id_key given to fit"):
        reloaded.attach_key(OTHER)
    assert gone(reloaded.attach_key(KEY).unlearn(forget_ids="person 5")) == [0, *range(12, 18)]
    reference = make().fit(X, Y, sample_ids=IDS, id_key=KEY, exclude=reloaded.forgotten_)
    np.testing.assert_array_equal(reloaded.predict_proba(X), reference.predict_proba(X))
    assert state_differences(learned_state(reloaded), learned_state(reference)) == {}
    assert gone(copy.deepcopy(model).unlearn(forget_ids="person 6")) == [12, 13, 14, 18, 19, 20]


def test_what_is_no_key(make):
    for key, message in (
        (b"short", "at least 16 random bytes, got 5 bytes"),
        ("a text of many letters", "got a str"),
        (7, "got a int"),
    ):
        with pytest.raises(ValueError, match=message):
            make().fit(X, Y, sample_ids=IDS, id_key=key)
    with pytest.raises(ValueError, match="id_key is the key of the sample_ids"):
        make().fit(X, Y, id_key=KEY)
    with pytest.raises(ValueError, match="no key of their own"):
        make().fit(X, Y, sample_ids=IDS).attach_key(KEY)
    with pytest.raises(ValueError, match="no sample_ids"):
        make().fit(X, Y).attach_key(KEY)


@pytest.mark.parametrize("key", [None, KEY], ids=["no key", "key"])
def test_one_key_one_model(make, key):
    models = [make().fit(X, Y, sample_ids=IDS, id_key=key) for _ in range(2)]
    assert state_differences(*map(learned_state, models)) == {}
    for model in models:
        model.unlearn(forget_ids=["person 4", "person 30"])
    reference = make().fit(X, Y, sample_ids=IDS, id_key=key, exclude=models[0].forgotten_)
    assert state_differences(learned_state(models[0]), learned_state(reference)) == {}


def test_another_key_deals_people_out_to_other_shards():
    shards = {
        key: MODELS["sisa"]().fit(X, Y, sample_ids=IDS, id_key=key).allocation_.shard.tobytes()
        for key in (None, KEY, OTHER)
    }
    assert len(set(shards.values())) == 3
    seeds = [SISAClassifier(GaussianNB(), n_shards=3, random_state=seed) for seed in (0, 1)]
    by_key = [model.fit(X, Y, sample_ids=IDS, id_key=KEY).allocation_.shard for model in seeds]
    np.testing.assert_array_equal(*by_key)


def test_numbers_and_texts_are_kept_apart(make):
    ids = [1, "1", 2, "2"] * 37 + ["x", "x"]
    for key in (None, KEY):
        model = make().fit(X, Y, sample_ids=ids, id_key=key).unlearn(forget_ids="1")
        assert gone(model) == list(range(1, 148, 4))
        model.unlearn(forget_ids=[np.int64(2)])
        assert gone(model) == sorted([*range(1, 148, 4), *range(2, 148, 4)])
    for form in (
        np.array,
        pd.Series,
        lambda ids: pd.array(ids, dtype="Int64"),
        list,
        lambda ids: np.array(ids, object),
    ):
        asked = make().fit(X, Y, sample_ids=form([row // 3 for row in range(N)]))
        assert gone(asked.unlearn(forget_ids=4)) == [12, 13, 14]
        with pytest.raises(UnknownIdError, match="'5'"):
            asked.unlearn(forget_ids="5")


def test_integers_that_may_be_ids_are_no_positions(make):
    ids = np.random.default_rng(0).permutation(N) // 3  # integers, in another order than the rows
    for key in (None, KEY):
        model = make().fit(X, Y, sample_ids=ids, id_key=key)
        before = pickle.dumps(model)
        with pytest.raises(ForgetRequestError, match=r"ambiguous: 4 is a position.*forget_ids=\[4\].*slice\(4, 5\)"):
            model.unlearn([100, 4])
        assert pickle.dumps(model) == before
        assert gone(model.unlearn([100])) == [100]  # no id reaches that far
        mask = np.zeros(N, bool)
        mask[4] = True
        assert gone(model.unlearn(mask).unlearn(slice(5, 6))) == [4, 5, 100]
        assert gone(model.unlearn(forget_ids=7)) == sorted({4, 5, 100, *np.flatnonzero(ids == 7)})
    reloaded = reload(model)
    with pytest.raises(ForgetRequestError, match=r"told from positions without their key.*mask or a slice"):
        reloaded.unlearn([100])
    assert gone(reloaded.unlearn(slice(9, 10))) == sorted({*gone(model), 9})


def test_ids_that_are_the_positions_are_no_riddle(make):
    model = make().fit(X, Y, sample_ids=np.arange(N)).unlearn([3, 140])
    assert gone(model) == [3, 140]
    assert gone(model.unlearn(forget_ids=4)) == [3, 4, 140]


def test_a_series_of_ids_is_aligned_with_the_frame(make):
    frame = pd.DataFrame(X, index=pd.Index(np.random.default_rng(1).permutation(N) + 7))
    frame.columns = frame.columns.map(str)
    ids = pd.Series(IDS, index=frame.index)
    expected = gone(make().fit(frame, Y, sample_ids=IDS).unlearn(forget_ids="person 4"))
    longer = pd.concat([ids, pd.Series(["else"], index=[9999])]).sample(frac=1, random_state=0)
    for given_ids in (ids, ids.sort_index(), longer, ids.to_numpy(), IDS.tolist()):
        assert gone(make().fit(frame, Y, sample_ids=given_ids).unlearn(forget_ids="person 4")) == expected
    for wrong in (ids.reset_index(drop=True), ids.iloc[:-1], pd.concat([ids, ids]).sort_index()):
        with pytest.raises(ValueError, match=r"sample_ids is a Series whose labels.*sample_ids\.to_numpy\(\)"):
            make().fit(frame, Y, sample_ids=wrong)


def test_two_ids_with_one_hash_are_noticed():
    with pytest.raises(ValueError, match=r"two different sample_ids have the same hash.*random_state"):
        IdRegister.of(np.arange(300), seed=0, n_bytes=1)  # 300 names, 256 hashes
    with pytest.raises(ValueError, match=r"same hash.*id_key"):
        IdRegister.of(np.arange(300), seed=0, key=KEY, n_bytes=1)
    assert len(IdRegister.of(np.arange(300), seed=0)) == 300


def test_hashes_are_hmac_sha256():
    """Against the definition of HMAC (RFC 2104), spelled out."""
    inner, outer = (bytes(a ^ b for a, b in zip(KEY.ljust(64, b"\0"), [pad] * 64, strict=True)) for pad in (0x36, 0x5C))
    for name, message in (("ann", b"sann"), (12, b"i12"), (-1, b"i-1"), ("12", b"s12"), ("é", b"s\xc3\xa9")):
        expected = sha256(outer + sha256(inner + message).digest()).digest()[:8]
        assert hash_names([name], keyed(KEY))[0] == int.from_bytes(expected, "little")


@given(
    people=st.lists(
        st.one_of(st.integers(-5, 5), st.sampled_from(["1", "2", "", "é", "\ud800"])), min_size=1, max_size=30
    ),
    removed=st.sets(st.integers(0, 29)),
    key=st.sampled_from([None, KEY]),
)
def test_the_register_finds_the_rows_that_a_list_would(people, removed, key):
    """Over random ids and removals: rows by id, forgotten ids, other fits, parts."""
    removed = sorted(row for row in removed if row < len(people))
    register = IdRegister.of(np.fromiter(people, dtype=object, count=len(people)), seed=3, key=key).without(removed)
    kept = [row for row in range(len(people)) if key is not None or row not in removed]
    for name in people:
        rows = [row for row in kept if type(people[row]) is type(name) and people[row] == name]
        if rows:
            assert register.rows_of([name]).tolist() == rows
        else:
            with pytest.raises(UnknownIdError):
                register.rows_of([name])
    again = register.under(3)
    assert (again.hashes[kept] == register.hashes[kept]).all()
    assert (again.hashes > 0).all()
    other = register.under(4)
    same = register.hashes[kept][:, None] == register.hashes[kept]
    np.testing.assert_array_equal(other.hashes[kept][:, None] == other.hashes[kept], same)
    assert (key is None) == (other.hashes[kept] != register.hashes[kept]).all() or not kept
    backwards = np.arange(len(people))[::-1]
    np.testing.assert_array_equal(register[backwards].hashes, register.hashes[backwards])


def test_looking_up_reads_few_rows():
    """A look-up among many ids takes a small part of a pass over them."""
    register = IdRegister.of(np.arange(200_000), seed=0)
    started = perf_counter()
    for name in range(100):
        register.rows_of([name * 1000])
    look_up = (perf_counter() - started) / 100
    started = perf_counter()
    for _ in range(20):
        register.sorted_hashes == register.sorted_hashes[0]  # noqa: B015
        np.isin(register.sorted_hashes, register.sorted_hashes[:1])
    assert look_up < (perf_counter() - started) / 20


def test_regressors_and_ids_by_risk_keep_people_together():
    risk = np.where(np.arange(N) < 30, 0.3, 0.01)
    model = SISARegressor(Ridge(), random_state=0)
    model.fit(X, Y.astype(float), sample_ids=IDS, id_key=KEY, deletion_probability=risk)
    for person in set(IDS):
        assert len(set(model.allocation_.shard[person == IDS])) == 1
