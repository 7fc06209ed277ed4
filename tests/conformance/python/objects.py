"""What is hashed and signed, after section 6 of net/README.md.

Every function takes and returns bytes or plain numbers; nothing here knows a socket.
"""

import struct
from dataclasses import dataclass, field

from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ZERO = bytes(32)
SLOTS = 64
STATE, ACK, HEADER, TRANSACTION, SESSION, ATTACH = 1, 2, 3, 4, 5, 7


def tagged(name: str, data: bytes) -> bytes:
    """The digest of `data` for the purpose `name`."""
    key = blake3(b"", derive_key_context="tidegate v1 " + name).digest()
    return blake3(data, key=key).digest()


def padded(data: bytes, width: int) -> bytes:
    assert len(data) <= width
    return data + bytes(width - len(data))


def signed(ledger: bytes, kind: int, body: bytes) -> bytes:
    """The byte string that is signed for `body`."""
    return b"TIDEGATE" + ledger + bytes([kind, 1]) + body


class Key:
    """An Ed25519 key with its secret."""

    def __init__(self, seed: bytes):
        self.secret = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, ledger: bytes, kind: int, body: bytes) -> bytes:
        return self.secret.sign(signed(ledger, kind, body))


def verifies(public: bytes, ledger: bytes, kind: int, body: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed(ledger, kind, body))
    except InvalidSignature:
        return False
    return True


# Trees.


def list_root(entries: list, node: str, root: str) -> bytes:
    """The root of a binary tree over `entries`; zero for none, where the object says so."""
    level = list(entries)
    while len(level) > 1:
        pairs = [tagged(node, level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    return tagged(root, struct.pack("<I28x", len(entries)) + (level[0] if level else ZERO))


def path_leads(leaf: bytes, index: int, count: int, path: list, root: bytes, node: str, name: str) -> bool:
    """True if `path` leads from `leaf`, number `index` of `count`, to `root`."""
    if index >= count:
        return False
    at, width, rest, digest = index, count, list(path), leaf
    while width > 1:
        if at ^ 1 < width:
            if not rest:
                return False
            beside = rest.pop(0)
            digest = tagged(node, beside + digest if at & 1 else digest + beside)
        at, width = at // 2, (width + 1) // 2
    return not rest and tagged(name, struct.pack("<I28x", count) + digest) == root


def lock_root(locks: dict) -> bytes:
    """The root over the open locks by slot: `{slot: lock id}`."""
    level = [locks.get(slot, ZERO) for slot in range(SLOTS)]
    while len(level) > 1:
        level = [tagged("lock node", b"".join(level[i : i + 4])) for i in range(0, len(level), 4)]
    return level[0]


# The client's half.


@dataclass
class Lock:
    payment_id: bytes
    amount: int
    fee: int
    payee: bytes
    payee_channel: bytes
    expiry: int

    def content(self) -> bytes:
        numbers = struct.pack("<QQ", self.amount, self.fee)
        return self.payment_id + numbers + self.payee + self.payee_channel + ZERO

    def id(self, payer: bytes, counter: int, slot: int) -> bytes:
        head = payer + struct.pack("<QIBB2x", counter, self.expiry, slot, 1)
        return tagged("lock id", padded(head + self.content(), 192))


def operation_add(slot: int, lock: Lock) -> bytes:
    return struct.pack("<BBBxI", 1, slot, 1, lock.expiry) + lock.content()


def operation_settle(slot: int) -> bytes:
    return struct.pack("<BB6x", 2, slot)


@dataclass
class State:
    """A client state `C`."""

    channel: bytes
    counter: int = 0
    debit: int = 0
    locks_sum: int = 0
    locks_root: bytes = field(default_factory=lambda: lock_root({}))
    ack: tuple = (0, ZERO)
    operations: bytes = ZERO

    def encode(self) -> bytes:
        head = self.channel + struct.pack("<QQQ", self.counter, self.debit, self.locks_sum) + self.locks_root
        return head + struct.pack("<Q", self.ack[0]) + self.ack[1] + self.operations

    def digest(self) -> bytes:
        return tagged("client state", padded(self.encode(), 192))


def operations_digest(encoded: bytes) -> bytes:
    return tagged("operations", padded(encoded, -(-len(encoded) // 64) * 64)) if encoded else ZERO


# The hub's half.


@dataclass
class Leaf:
    """A leaf as a receipt brings it."""

    private: bytes
    public: bytes

    def __post_init__(self):
        p = self.private
        self.channel = p[:32]
        self.counter, self.firm, self.unfirm, self.in_locks = struct.unpack_from("<QQQQ", p, 32)
        self.in_locks_root, self.outcomes_root, self.terms = p[64:96], p[96:128], p[128:160]
        (acked,) = struct.unpack_from("<Q", p, 160)
        self.ack = (acked, p[168:200])
        self.ack_by, self.height, self.kind = struct.unpack_from("<IIB", p, 200)
        self.previous, self.credited_root, self.failed_root = self.public[:32], self.public[32:64], self.public[64:]

    def digest(self) -> bytes:
        private = tagged("leaf private", padded(self.private, 256))
        public = tagged("leaf public", padded(self.public, 128))
        return tagged("leaf", private + public)


def opening_leaf(channel: bytes) -> Leaf:
    """`H(0)`, which follows from the funding output alone."""
    ack = struct.pack("<Q", 0) + State(channel).digest()
    private = channel + bytes(32) + lock_root({}) + ZERO + ZERO + ack + bytes(16)
    return Leaf(private, bytes(96))


@dataclass
class Header:
    """A batch header with the hub's signature."""

    raw: bytes

    def __post_init__(self):
        r = self.raw
        self.hub, self.previous, self.leaves_root = r[:32], r[40:72], r[80:112]
        (self.number,) = struct.unpack_from("<Q", r, 32)
        self.count, self.height = struct.unpack_from("<II", r, 72)

    def is_signed(self, ledger: bytes, hub: bytes) -> bool:
        body, signature = self.raw[:184], self.raw[184:]
        return self.hub == hub and verifies(hub, ledger, HEADER, body, signature)

    def holds(self, leaf: bytes, index: int, path: list) -> bool:
        return path_leads(leaf, index, self.count, path, self.leaves_root, "receipt node", "receipt root")


def outcomes_root(outcomes: list) -> bytes:
    entries = [tagged("outcome", padded(outcome, 128)) for outcome in outcomes]
    return list_root(entries, "outcome node", "outcome root") if entries else ZERO


def credited_root(credits: list) -> bytes:
    entries = [tagged("credit entry", padded(credit[:48], 64)) for credit in credits]
    return list_root(entries, "list node", "list root") if entries else ZERO


# The ledger.


@dataclass
class Terms:
    """The parameters of a channel."""

    client: bytes
    hub: bytes
    client_payout: bytes
    hub_payout: bytes
    capacity: int
    own: int
    client_reserve: int
    hub_reserve: int
    dispute_window: int
    evidence_grace: int
    expiry: int
    nonce: int
    emergency: bytes = ZERO
    delegate: bytes = ZERO

    def encode(self) -> bytes:
        keys = self.client + self.hub + self.client_payout + self.hub_payout + self.emergency + self.delegate
        amounts = struct.pack("<QQQQ", self.capacity, self.own, self.client_reserve, self.hub_reserve)
        times = struct.pack("<IIII", self.dispute_window, self.evidence_grace, self.expiry, self.nonce)
        return keys + amounts + times

    def channel_id(self, outpoint: bytes) -> bytes:
        return tagged("channel id", outpoint + self.encode())


def output_to_key(amount: int, key: bytes) -> bytes:
    return struct.pack("<QB", amount, 1) + key


@dataclass
class Transaction:
    """A transaction as the wire brings it: inputs, outputs, and the witnesses of kind `Key`."""

    inputs: list
    outputs: list
    witnesses: list

    @classmethod
    def decode(cls, data: bytes):
        version, inputs, outputs = struct.unpack_from("<BHH", data)
        assert version == 1
        at = 5
        taken = []
        for _ in range(inputs):
            taken.append(data[at : at + 36])
            at += 36
        made = []
        for _ in range(outputs):
            width = 9 + {1: 32, 5: 240}[data[at + 8]]
            made.append(data[at : at + width])
            at += width
        witnesses = []
        for _ in range(inputs):
            assert data[at] == 1
            witnesses.append(data[at : at + 65])
            at += 65
        assert at == len(data), "trailing bytes"
        return cls(taken, made, witnesses)

    def body(self) -> bytes:
        head = struct.pack("<BHH", 1, len(self.inputs), len(self.outputs))
        return head + b"".join(self.inputs) + b"".join(self.outputs)

    def txid(self) -> bytes:
        return tagged("txid", self.body())

    def encode(self) -> bytes:
        return self.body() + b"".join(self.witnesses)


def witness_key(signature: bytes) -> bytes:
    return bytes([1]) + signature


def witness_close(header: bytes, index: int, path: list, leaf: Leaf, terms: bytes, signature: bytes) -> bytes:
    place = struct.pack("<IB", index, len(path)) + b"".join(path)
    return bytes([2]) + header + place + leaf.private + leaf.public + terms + signature
