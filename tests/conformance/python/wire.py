"""Sessions and messages, after sections 1 to 3 of net/README.md."""

import os
import socket
import struct
import time

from noise.connection import Keypair, NoiseConnection

from objects import SESSION, Header, Leaf, verifies

HELLO, OPEN_PROPOSE, OPEN_ACCEPT, PAY, PAY_ANSWER, RECEIPT, ACK = 1, 3, 4, 5, 6, 7, 8
SYNC, SYNC_ANSWER, CLOSE_REQUEST, CLOSE_FINAL = 12, 13, 15, 16
LEDGER_QUERY, LEDGER_ANSWER, SUBMIT_TX, PING, BUSY, ERROR = 21, 22, 23, 25, 26, 27
CLIENT, HUB = 1, 2
PLAIN_MAX = 16384


class Refused(Exception):
    """The hub's `Error`."""


def address_of(text: str):
    """Identity, Noise key, host and port of a hub's address."""
    keys, place = text.split("@")
    host, port = place.rsplit(":", 1)
    raw = bech32m(keys)
    assert len(raw) == 64
    return raw[:32], raw[32:], host, int(port)


def bech32m(text: str) -> bytes:
    """The bytes of a bech32m string with prefix `tg` (BIP 350, without its limit of 90 characters)."""
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    prefix, data = text.rsplit("1", 1)
    assert prefix == "tg"
    values = [alphabet.index(c) for c in data]
    check = 1
    for value in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, g in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= g if top >> i & 1 else 0
    assert check == 0x2BC830A3, "a damaged address"
    bits = "".join(f"{v:05b}" for v in values[:-6])
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits) // 8 * 8, 8))


class Session:
    """One connection to a hub."""

    def __init__(self, address: str, ledger: bytes, identity):
        self.ledger, self.identity = ledger, identity
        hub_identity, hub_noise, host, port = address_of(address)
        self.socket = socket.create_connection((host, port), timeout=20)
        self.noise = NoiseConnection.from_name(b"Noise_IK_25519_AESGCM_SHA256")
        self.noise.set_prologue(b"tidegate/1" + ledger)
        self.noise.set_as_initiator()
        self.noise.set_keypair_from_private_bytes(Keypair.STATIC, os.urandom(32))
        self.noise.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, hub_noise)
        self.noise.start_handshake()
        self.plain, self.waiting, self.next_request = b"", [], 1
        self._handshake(hub_identity)

    def _handshake(self, hub_identity: bytes):
        first = bytes(self.noise.write_message())
        assert len(first) == 96
        self._write_frame(first)
        assert self.noise.read_message(self._read_frame()) == b""
        assert self.noise.handshake_finished
        hashed = bytes(self.noise.get_handshake_hash())
        proof = self.noise.decrypt(self._read_frame())
        key, signature = proof[:32], proof[32:]
        assert key == hub_identity, "another hub"
        assert verifies(key, self.ledger, SESSION, claim(hashed, HUB, key), signature), "no proof of the hub"
        own = self.identity.public
        self._seal(own + self.identity.sign(self.ledger, SESSION, claim(hashed, CLIENT, own)))

    def _write_frame(self, data: bytes):
        self.socket.sendall(struct.pack("<H", len(data)) + data)

    def _read_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise EOFError("the hub has closed the connection")
            data += part
        return data

    def _read_frame(self) -> bytes:
        (length,) = struct.unpack("<H", self._read_exactly(2))
        return self._read_exactly(length)

    def _seal(self, plain: bytes):
        for at in range(0, len(plain), PLAIN_MAX):
            self._write_frame(self.noise.encrypt(plain[at : at + PLAIN_MAX]))

    def send(self, kind: int, body: bytes) -> int:
        """Sends a message and returns its request id."""
        request, self.next_request = self.next_request, self.next_request + 1
        self._seal(struct.pack("<IHHQ", len(body), kind, 1, request) + body)
        return request

    def receive(self):
        """The next message: kind, request, body."""
        while True:
            if len(self.plain) >= 16:
                length, kind, version, request = struct.unpack_from("<IHHQ", self.plain)
                assert version == 1
                if len(self.plain) >= 16 + length:
                    body, self.plain = self.plain[16 : 16 + length], self.plain[16 + length :]
                    return kind, request, body
            self.plain += self.noise.decrypt(self._read_frame())

    def wait(self, wanted):
        """The first message for which `wanted(kind, request, body)`; the others keep their order."""
        for at, message in enumerate(self.waiting):
            if wanted(*message):
                return self.waiting.pop(at)
        while True:
            message = self.receive()
            if wanted(*message):
                return message
            self.waiting.append(message)

    def ask(self, kind: int, body: bytes, answer: int) -> bytes:
        """Sends a request and waits for its answer, which must be of the kind `answer`."""
        while True:
            request = self.send(kind, body)
            found, _, body_of = self.wait(lambda _, of, __: of == request)
            if found == BUSY:
                (millis,) = struct.unpack_from("<I", body_of)
                time.sleep(millis / 1000)
                continue
            if found == ERROR:
                code, length = struct.unpack_from("<H2xI", body_of)
                raise Refused(f"{code}: {body_of[8 : 8 + length].decode()}")
            assert found == answer, f"kind {found} in answer to {kind}"
            return body_of

    def receipt_for(self, channel: bytes):
        """The next receipt that holds a leaf of `channel`: its header and the entry."""

        def holds(kind, _, body):
            if kind in (PAY_ANSWER, ERROR):
                raise Refused(f"kind {kind}: {body.hex()}")
            return kind == RECEIPT and any(e.leaf.channel == channel for e in entries(body))

        _, _, body = self.wait(holds)
        return Header(body[:248]), next(e for e in entries(body) if e.leaf.channel == channel)

    def close(self):
        self.socket.close()


def claim(hashed: bytes, role: int, key: bytes) -> bytes:
    return hashed + bytes([role]) + bytes(7) + key


class Entry:
    """A leaf in a receipt with all that its roots stand for."""

    def __init__(self, data: bytes, at: int):
        self.index, path, credits, outcomes, answers, flags, changes = struct.unpack_from("<IIIIIHH", data, at)
        at += 24

        def take(width):
            nonlocal at
            part = data[at : at + width]
            assert len(part) == width
            at += width
            return part

        self.leaf = Leaf(take(216), take(96))
        self.path = [take(32) for _ in range(path)]
        self.credits = [take(80) for _ in range(credits)]
        self.outcomes = [take(96) for _ in range(outcomes)]
        self.answers = [struct.unpack("<QQ", take(16)) for _ in range(answers)]
        self.in_changes = [take(104) for _ in range(changes)]
        self.terms = take(96) if flags & 1 else b""
        self.end = at


def entries(body: bytes) -> list:
    """The entries of a `Receipt`."""
    (count,) = struct.unpack_from("<I", body, 248)
    found, at = [], 256
    for _ in range(count):
        entry = Entry(body, at)
        found.append(entry)
        at = entry.end
    assert at == len(body), "trailing bytes"
    return found
