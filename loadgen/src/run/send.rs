//! Sending: what the schedule makes due, or what answers have made room for.

use std::cmp::Reverse;

use tidegate_reactor::Outbox;
use tidegate_wire::Kind;

use super::flights::Flight;
use super::generator::{Generator, Phase};
use super::meter::Times;

/// Bytes that may wait for the socket of one connection before nothing more is given to it.
const QUEUED_MAX: usize = 1 << 20;

impl Generator {
    /// Sends what is due and what answers have made room for.
    pub(super) fn pump(&mut self, out: &mut Outbox<'_>) {
        if self.phase != Phase::Loading {
            return;
        }
        let now = self.parts.clock.now();
        if now < self.schedule.start {
            return;
        }
        let over = now >= self.schedule.end;
        if over && !self.schedule.is_open() {
            return self.end_load();
        }
        while let Some(&Reverse((due, number))) = self.due.peek() {
            if due > now {
                break;
            }
            self.due.pop();
            self.pump_one(number, now, out);
        }
        let mut list = std::mem::take(&mut self.pump_list);
        for number in list.drain(..) {
            let conn = &mut self.conns[number as usize];
            conn.listed = false;
            if self.schedule.is_open() {
                // One that waits for the schedule stands in the heap.
                let waits = conn.blocked || conn.free_at == 0;
                if !waits {
                    continue;
                }
            }
            conn.free_at = now;
            conn.blocked = false;
            self.pump_one(number, now, out);
        }
        self.pump_list = list;
        // Only now: what was due in the last moment before the end has gone out too.
        if over {
            self.end_load();
        }
    }

    pub(super) fn pump_one(&mut self, number: u32, now: u64, out: &mut Outbox<'_>) {
        let window = self.profile.run.window_per_connection;
        let open = self.schedule.is_open();
        let width = u32::try_from(self.flights.width()).expect("at most 16");
        let channel_window = if open {
            u32::MAX
        } else {
            self.profile.run.window_per_channel / width
        };
        let mut run_dry = false;
        loop {
            let conn = &mut self.conns[number as usize];
            let position = conn.section.position();
            let Some(record) = conn.section.peek() else {
                run_dry = conn.section.count() > 0;
                break;
            };
            let head = record.head;
            let due = self.schedule.due(head.number, conn.base);
            if due.is_some_and(|due| due >= self.schedule.end) {
                break;
            }
            if let Some(due) = due.filter(|&due| due > now) {
                self.due.push(Reverse((due, number)));
                break;
            }
            let channel = &mut self.channels.rows[head.payer as usize];
            if channel.sent >= channel.broken_from {
                self.unsent += u64::from(width);
                conn.section.advance();
                continue;
            }
            if (!open && conn.in_flight + width > window)
                || !channel.may_send(self.distance, channel_window)
                || out.queued(conn.id) > QUEUED_MAX
            {
                conn.blocked = true;
                break;
            }
            let times = Times {
                intended: due.unwrap_or(now),
                sent: now,
            };
            let flight = Flight {
                payer: head.payer,
                ordinal: channel.sent,
                position,
                times,
                pending: 0,
            };
            let request = self.flights.insert(flight, record.parts());
            if let Some(locks) = &mut self.hash_locks {
                locks.note_sent(&flight, request, record.body, width);
            }
            let put = |bytes: &mut Vec<u8>| bytes.extend_from_slice(record.body);
            if out.message(conn.id, Kind::Pay.code(), request, put).is_err() {
                // The connection is gone; its closing says why.
                self.flights.remove(request);
                conn.blocked = true;
                break;
            }
            self.meter.note_sent(&self.schedule, times, conn.free_at, width.into());
            conn.in_flight += width;
            channel.sent += 1;
            conn.section.advance();
        }
        if run_dry && !open {
            self.run_dry();
        }
    }

    /// Sockets that were full may have room again.
    pub(super) fn relist_blocked(&mut self) {
        for (number, conn) in (0..).zip(&mut self.conns) {
            if conn.blocked && !std::mem::replace(&mut conn.listed, true) {
                self.pump_list.push(number);
            }
        }
    }
}
