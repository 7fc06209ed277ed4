"""Opens two channels, pays from one to the other, checks every receipt, acknowledges, and closes: with nothing of Tidegate but
net/README.md. Run by scripts/python-client.
"""

import argparse
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import time

import wire
from objects import (
    ACK,
    STATE,
    TRANSACTION,
    ZERO,
    Key,
    Lock,
    State,
    Terms,
    Transaction,
    credited_root,
    opening_leaf,
    operation_add,
    operation_settle,
    operations_digest,
    outcomes_root,
    lock_root,
    output_to_key,
    tagged,
    witness_close,
    witness_key,
)

FUNDED = 2_000_000
CAPACITY, OWN, FEE = 1_000_000, 600_000, 2_000
AMOUNT = 12_345
FINAL, DONE, DELIVERED = 1, 1, 2


class Hub:
    """`tidegate start --dev` in a directory of its own."""

    def __init__(self, tidegate: str, data: pathlib.Path, keys: list):
        fund = [argument for key in keys for argument in ("--fund", f"{key.public.hex()}={FUNDED}")]
        subprocess.run([tidegate, "format", "--data", str(data), *fund], check=True, stdout=subprocess.DEVNULL)
        command = [tidegate, "start", "--data", str(data), "--dev", "--json", "--until-stdin-closes"]
        command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        text = ""
        while True:
            line = self.process.stdout.readline()
            assert line, "the hub has ended"
            text += line
            try:
                said = json.loads(text)
                break
            except ValueError:
                continue
        self.address, self.ledger = said["address"], bytes.fromhex(said["ledger"])

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0, "the hub ended badly"


class Channel:
    """One end of a channel."""

    def __init__(self, session: wire.Session, key: Key, hello: "Hello", nonce: int):
        self.session, self.key, self.hello = session, key, hello
        self.open(nonce)
        self.state, self.leaf = State(self.id), opening_leaf(self.id)
        self.locks = {}

    def open(self, nonce: int):
        """OpenPropose, OpenAccept, SubmitTx, and until the funding transaction is final (section 4, point 7)."""
        outputs = self.query(2, self.key.public)
        (count,) = struct.unpack_from("<I", outputs)
        funds = [outputs[8 + i * 48 : 56 + i * 48] for i in range(count)]
        coin = next(f for f in funds if f[36] == 1)
        outpoint, (amount,) = coin[:36], struct.unpack_from("<Q", coin, 40)
        hello = self.hello
        terms = Terms(
            client=self.key.public,
            hub=hello.hub,
            client_payout=self.key.public,
            hub_payout=ZERO,
            capacity=CAPACITY,
            own=OWN,
            client_reserve=hello.client_reserve,
            hub_reserve=hello.hub_reserve,
            dispute_window=hello.dispute_window,
            evidence_grace=hello.evidence_grace,
            expiry=hello.height + 1_000_000,
            nonce=nonce,
        )
        change = amount - OWN - FEE
        proposal = struct.pack("<IIQ", 240, 1, change) + self.key.public + terms.encode() + outpoint
        accept = self.session.ask(wire.OPEN_PROPOSE, proposal, wire.OPEN_ACCEPT)
        channel, (length,) = accept[:32], struct.unpack_from("<I", accept, 32)
        transaction = Transaction.decode(accept[40 : 40 + length])
        self.check_funding(transaction, terms, outpoint, change, channel)
        signature = self.key.sign(self.session.ledger, TRANSACTION, transaction.txid())
        at = transaction.inputs.index(outpoint)
        assert transaction.witnesses[at] == witness_key(bytes(64)), "the client's signature is left to it"
        transaction.witnesses[at] = witness_key(signature)
        self.submit(transaction.encode(), transaction.txid())
        self.wait_final(transaction.txid())

    def check_funding(self, transaction, terms, outpoint, change, channel):
        assert outpoint in transaction.inputs, "the client's coin"
        assert output_to_key(change, self.key.public) in transaction.outputs, "the change"
        vout, found = next((n, o) for n, o in enumerate(transaction.outputs) if o[8] == 5)
        assert struct.unpack_from("<Q", found)[0] == CAPACITY
        terms.hub_payout = found[9 + 96 : 9 + 128]
        assert found[9:] == terms.encode() and terms.hub_payout != ZERO, "the terms, but for the hub's payout key"
        self.funding = transaction.txid() + struct.pack("<I", vout)
        self.terms, self.id = terms, channel
        assert terms.channel_id(self.funding) == channel, "the channel's name"

    def query(self, question: int, argument: bytes) -> bytes:
        body = self.session.ask(wire.LEDGER_QUERY, struct.pack("<B7x", question) + argument, wire.LEDGER_ANSWER)
        return body[40:]

    def submit(self, transaction: bytes, txid: bytes):
        body = struct.pack("<I4x", len(transaction)) + transaction
        answer = self.session.ask(wire.SUBMIT_TX, body, wire.LEDGER_ANSWER)
        assert answer[4] == 5 and answer[40:] == txid, "accepted"

    def wait_final(self, txid: bytes):
        until = time.monotonic() + 30
        while self.query(3, txid)[0] != 2:
            assert time.monotonic() < until, "the transaction is not final"
            time.sleep(0.05)

    def propose(self, operations: bytes, locks: dict, debit: int, locks_sum: int):
        """Signs the next state and sends it."""
        state = State(self.id, self.state.counter + 1, debit, locks_sum, lock_root(locks))
        state.ack = (self.leaf.counter, self.leaf.digest())
        state.operations = operations_digest(operations)
        body = state.encode() + self.key.sign(self.session.ledger, STATE, state.encode())
        self.session.send(wire.PAY, body + struct.pack("<I4x", len(operations)) + operations)
        self.state, self.locks = state, locks

    def take_leaf(self):
        """The next leaf, checked against the one before, the header and the hub's key."""
        header, entry = self.session.receipt_for(self.id)
        leaf = entry.leaf
        assert header.is_signed(self.session.ledger, self.hello.hub), "the hub's signature"
        assert header.holds(leaf.digest(), entry.index, entry.path), "the Merkle path"
        assert leaf.counter == self.leaf.counter + 1 and leaf.previous == self.leaf.digest(), "the chain"
        assert leaf.outcomes_root == outcomes_root(entry.outcomes), "the outcomes"
        assert leaf.credited_root == credited_root(entry.credits), "the credits"
        assert leaf.firm >= self.leaf.firm
        self.leaf = leaf
        return header, entry

    def acknowledges_newest(self) -> bool:
        return self.leaf.ack == (self.state.counter, self.state.digest())

    def pay(self, payee: "Channel"):
        """One payment: its lock, the leaf that tells what became of it, and its settlement."""
        lock = Lock(os.urandom(16), AMOUNT, 0, payee.key.public, payee.id, self.hello.height + self.hello.lock_blocks())
        lock.fee = self.hello.fee(AMOUNT)
        total = AMOUNT + lock.fee
        name = lock.id(self.id, self.state.counter + 1, 0)
        self.propose(operation_add(0, lock), {0: name}, self.state.debit, total)
        _, entry = self.take_leaf()
        assert self.acknowledges_newest()
        (outcome,) = entry.outcomes
        counter, kind, slot, result, reason = struct.unpack_from("<QBBBB", outcome)
        assert (counter, kind, slot, result, reason) == (self.state.counter, 1, 0, DELIVERED, 0)
        assert outcome[16:48] == name, "the lock's name"
        assert entry.answers, "the request that it answers"
        self.propose(operation_settle(0), {}, self.state.debit + total, 0)
        _, entry = self.take_leaf()
        assert self.acknowledges_newest() and entry.outcomes[0][10] == DONE
        return name

    def receive(self, name: bytes):
        """The credit of a lock, and its ack."""
        _, entry = self.take_leaf()
        (credit,) = entry.credits
        assert credit[:32] == name and struct.unpack_from("<Q", credit, 64)[0] == AMOUNT
        assert self.leaf.unfirm == AMOUNT
        self.acknowledge()

    def acknowledge(self):
        body = self.id + struct.pack("<Q", self.leaf.counter) + self.leaf.digest()
        self.session.send(wire.ACK, body + self.key.sign(self.session.ledger, ACK, body))
        self.take_leaf()
        assert (self.leaf.unfirm, self.leaf.firm) == (0, AMOUNT), "the credit is firm"

    def close(self):
        """CloseRequest, the final leaf, CloseFinal."""
        self.session.send(wire.CLOSE_REQUEST, self.id + struct.pack("<Q", FEE))
        header, entry = self.take_leaf()
        assert self.leaf.kind == FINAL and tagged("final terms", entry.terms) == self.leaf.terms
        client, hub, fee = struct.unpack_from("<QQQ", entry.terms, 32)
        owed = OWN - self.state.debit + self.leaf.firm
        assert entry.terms[:32] == self.id and entry.terms[56:] == bytes(40), "no successor"
        assert (client, hub, fee) == (owed - FEE, CAPACITY - owed, FEE), "the payouts"
        outputs = [output_to_key(client, self.terms.client_payout), output_to_key(hub, self.terms.hub_payout)]
        transaction = Transaction([self.funding], outputs, [])
        signature = self.key.sign(self.session.ledger, TRANSACTION, transaction.txid())
        witness = witness_close(header.raw, entry.index, entry.path, self.leaf, entry.terms, signature)
        encoded = transaction.body() + witness
        body = self.id + struct.pack("<I4x", len(encoded)) + encoded
        done = self.session.ask(wire.CLOSE_FINAL, body, wire.CLOSE_FINAL)
        assert done == self.id + transaction.txid()
        self.wait_final(transaction.txid())
        return client


class Hello:
    """What a hub says of itself."""

    def __init__(self, session: wire.Session):
        body = session.ask(wire.HELLO, struct.pack("<II8x", 1, 0), wire.HELLO)
        assert len(body) == 144 and body[:32] == session.ledger
        self.hub = body[32:64]
        numbers = struct.unpack_from("<IIIIIIQQQQIIQI", body, 64)
        self.height, self.margin, self.ack_ms, self.max_lock, self.dispute_window, self.evidence_grace = numbers[:6]
        self.client_reserve, self.hub_reserve, _, self.fee_base, self.fee_ppm, self.block_ms = numbers[6:12]

    def fee(self, amount: int) -> int:
        return self.fee_base + -(-amount * self.fee_ppm // 1_000_000)

    def lock_blocks(self) -> int:
        """The life of a lock: the least that section 4, point 6 allows and half of that again."""
        least = 3 * self.margin + 2 * -(-self.ack_ms // self.block_ms)
        return min(least + least // 2 + 1, self.max_lock)


def run(tidegate: str, data: pathlib.Path):
    keys = [Key(bytes([number]) * 32) for number in (41, 42)]
    hub = Hub(tidegate, data, keys)
    try:
        ends = []
        for nonce, key in enumerate(keys):
            session = wire.Session(hub.address, hub.ledger, key)
            ends.append(Channel(session, key, Hello(session), nonce))
        payer, payee = ends
        name = payer.pay(payee)
        payee.receive(name)
        paid = [end.close() for end in ends]
        fee = payer.hello.fee(AMOUNT)
        assert paid == [OWN - AMOUNT - fee - FEE, OWN + AMOUNT - FEE], paid
        for end in ends:
            end.session.close()
    finally:
        hub.stop()
    print(f"two channels opened, {AMOUNT} sat paid, every receipt checked, both closed: {paid} sat paid out")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tidegate", required=True, help="the tidegate program")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run(arguments.tidegate, pathlib.Path(scratch) / "hub")


if __name__ == "__main__":
    main()
