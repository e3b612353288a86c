import json
import pickletools
import zipfile

import numpy as np
import pytest

from tf_lottery import arrays
from tf_lottery.errors import LotteryError
from tf_lottery.ticket import FORMAT, VERSION, Ticket

MASK = np.array([[True, False, False], [False, True, False]])
KERNEL = np.where(MASK, np.float32(0.5), np.float32(0))
TICKET = Ticket(
    masks={"block/hidden/kernel": MASK},
    weights={"block/hidden/kernel": KERNEL, "block/hidden/bias": np.ones(3, np.float32)},
    trained={"block/hidden/kernel": 2 * KERNEL},
    provenance={"study": "fake", "round": 3, "density": 1 / 3, "rewind_to": "0it"},
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "winning.npz"
    TICKET.save(path)
    return path


def with_header(path, **changes):
    """Write the ticket again with another header."""
    found = arrays.load(path)
    header = json.loads(str(found["header"])) | changes
    arrays.save(path, found | {"header": np.array(json.dumps(header))})


def same_as_ours(found):
    assert found.provenance == TICKET.provenance
    for group in ("masks", "weights", "trained"):
        ours, theirs = getattr(TICKET, group), getattr(found, group)
        assert ours.keys() == theirs.keys()
        assert all(ours[name].dtype == theirs[name].dtype for name in ours)
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_a_saved_ticket_comes_back_whole(path):
    same_as_ours(Ticket.load(path))


def test_trained_weights_need_not_travel(path):
    Ticket(TICKET.masks, TICKET.weights).save(path)
    assert Ticket.load(path).trained == {}


def test_density_is_the_fraction_of_prunable_weights_that_remain():
    assert TICKET.density == 2 / 6


def test_a_ticket_is_readable_with_numpy_alone(path):
    with np.load(path) as file:
        header = json.loads(str(file["header"]))
        mask, kernel = file["masks/block/hidden/kernel"], file["weights/block/hidden/kernel"]
    assert (header["format"], header["version"]) == (FORMAT, VERSION)
    assert header["provenance"]["round"] == 3
    assert np.array_equal(mask, MASK)
    assert np.array_equal(kernel, KERNEL)


def test_no_member_is_a_pickle(path):
    with zipfile.ZipFile(path) as archive:
        members = [archive.read(name) for name in archive.namelist()]
    assert len(members) == 5
    assert all(member.startswith(b"\x93NUMPY") for member in members)
    for member in members:
        with pytest.raises(ValueError, match="opcode"):
            list(pickletools.genops(member))


def test_what_is_pickled_is_not_loaded(tmp_path):
    path = tmp_path / "pickled.npz"
    np.savez(path, header=np.array({"format": FORMAT}, dtype=object))
    with pytest.raises(LotteryError, match="plain arrays"):
        Ticket.load(path)


@pytest.mark.parametrize("header", [None, "no JSON", '{"format": "another"}', "[]", "3"])
def test_a_foreign_npz_is_refused(tmp_path, header):
    path = tmp_path / "foreign.npz"
    arrays.save(path, {"x": np.arange(3)} | ({"header": np.array(header)} if header else {}))
    with pytest.raises(LotteryError, match=r"Expected a ticket.*foreign\.npz"):
        Ticket.load(path)


@pytest.mark.parametrize("lacking", ["version", "digest", "provenance"])
def test_a_header_that_lacks_a_part_is_refused(path, lacking):
    found = arrays.load(path)
    header = json.loads(str(found["header"]))
    del header[lacking]
    arrays.save(path, found | {"header": np.array(json.dumps(header))})
    with pytest.raises(LotteryError, match=r"winning\.npz"):
        Ticket.load(path)


def test_a_later_version_is_refused(path):
    with_header(path, version=VERSION + 1)
    with pytest.raises(LotteryError, match=f"version 1 or {VERSION}.*version {VERSION + 1}"):
        Ticket.load(path)


def test_changed_weights_are_refused(path):
    found = arrays.load(path)
    arrays.save(path, found | {"weights/block/hidden/bias": np.zeros(3, np.float32)})
    with pytest.raises(LotteryError, match=r"winning\.npz fails its checksum"):
        Ticket.load(path)


def test_a_truncated_ticket_is_refused(path):
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(LotteryError):
            Ticket.load(path)


def test_a_flipped_bit_is_refused_or_harmless_wherever_it_is(path):
    whole, refused = path.read_bytes(), 0
    for position in range(0, len(whole), 2):
        flipped = bytearray(whole)
        flipped[position] ^= 4
        path.write_bytes(flipped)
        try:
            same_as_ours(Ticket.load(path))  # a time stamp, say
        except LotteryError:
            refused += 1
    assert refused > 300


def test_a_missing_ticket_is_named(tmp_path):
    with pytest.raises(LotteryError, match=r"absent\.npz"):
        Ticket.load(tmp_path / "absent.npz")


def test_saving_over_a_ticket_replaces_it(path):
    Ticket(TICKET.masks, TICKET.weights, provenance={"round": 4}).save(str(path))
    assert Ticket.load(str(path)).provenance == {"round": 4}
    assert [entry.name for entry in path.parent.iterdir()] == ["winning.npz"]


def refusal(path):
    """Why a ticket isn't loaded; None if it is, as it was."""
    try:
        same_as_ours(Ticket.load(path))
    except LotteryError as error:
        return str(error)


def test_a_flipped_bit_anywhere_is_told_in_one_line(path):
    whole = path.read_bytes()
    for position in range(0, len(whole), 97):
        for bit in (1, 16, 128):
            flipped = bytearray(whole)
            flipped[position] ^= bit
            path.write_bytes(flipped)
            message = refusal(path)
            assert message is None or ("\n" not in message and str(path) in message)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", b"no archive at all" * 100])
def test_what_is_no_npz_is_told_in_one_line(path, content):
    path.write_bytes(content)
    with pytest.raises(LotteryError, match=r"winning\.npz") as caught:
        Ticket.load(path)
    assert "\n" not in str(caught.value)


def masks(*kept):
    return {"a/kernel": np.array(kept, bool)}


def weights(*values):
    return {"a/kernel": np.array(values, np.float32)}


def test_compared_tickets_agree_by_counting():
    first = Ticket(masks(1, 1, 1, 0), weights(1, 2, 3, 0))
    second = Ticket(masks(1, 1, 0, 1), weights(1, 2, 0, 4))
    found = first.compare(second)
    assert (found.total.first, found.total.second, found.total.both) == (3, 3, 2)
    assert (found.total.chance, found.total.jaccard, found.total.distance) == (9 / 4, 2 / 4, 2 / 4)
    assert found.same_weights  # of those that both keep
    assert not first.compare(Ticket(masks(1, 1, 0, 1), weights(1, 5, 0, 4))).same_weights
    assert first.compare(first).total.jaccard == 1


def test_compared_tickets_may_have_been_numbered_otherwise():
    first = Ticket({"dense/kernel": MASK, "dense_1/kernel": ~MASK}, {})
    second = Ticket({"dense_4/kernel": MASK, "dense_5/kernel": ~MASK}, {})
    assert first.compare(second).total.distance == 0


@pytest.mark.parametrize(
    ("other", "received"),
    [
        (Ticket({"b/kernel": np.ones(4, bool)}, {}), "missing: a/kernel; unexpected: b/kernel"),
        (Ticket({"a/kernel": np.ones(5, bool)}, {}), r"different shapes: a/kernel has \(5,\), not \(4,\)"),
        ({"a/kernel": np.ones(4, bool)}, "dict"),
        (None, "NoneType"),
    ],
)
def test_what_cannot_be_compared(other, received):
    with pytest.raises(LotteryError, match=f"Received: {received}$"):
        Ticket(masks(1, 1, 1, 0), weights(1, 2, 3, 0)).compare(other)
