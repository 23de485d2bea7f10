"""Steps of Burgers' equation in a basis where diffusion is diagonal: an exponential Adams method of variable step and order.

y' = −λ y + N(t, y), y being the amplitudes of waves (`burgers_waves`) or of polynomials (`burgers_walls`). Predict,
evaluate, correct, evaluate: the corrector is of one order more than the predictor, and its last term estimates the
error. Samples stand side by side, innermost in memory; each has its own step, order and outputs, and sees the same
arithmetic whatever stands beside it. L. F. Shampine, M. K. Gordon, Computer Solution of Ordinary Differential
Equations, 1975, chapters 5 and 10; weights in `exponential`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled
from lawbound.solvers.exponential import (
    CORRECTION,
    DECAY,
    ESTIMATE,
    MOST_VALUES,
    TABLES,
    fill_phi,
    lagrange,
    weigh,
    weigh_values,
)
from lawbound.solvers.step_control import planned_step

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: How a sample stands: under way, at the last output, with too few or too many modes, or lost.
RUNNING, ARRIVED, COARSE, FINE, BROKEN, ENDLESS = 0, 1, 2, 3, 4, 5

#: The longest h for which a polynomial through so many values is stable, as max|u| √(h/ν); found by experiment.
_STABLE = np.array([np.inf, np.inf, np.inf, np.inf, 0.85, 0.3, 0.0])
_LEAST_VALUES = 3
# A longer step makes new weights for several steps, so it must be worth them.
_WORTH, _MOST_GROWTH, _SAFETY = 1.5, 2.0, 0.9
# A step that only just held is kept, and if it must be shorter, then by so much that it lasts.
_CLOSE, _SHORTER = 0.93, 0.75
# A higher order is tried this far within its range, and modes are dropped only after some steps, so that neither flickers.
_WITHIN, _PATIENCE = 0.8, 24
_LEAST_STEP, _MOST_STEPS = 1e-13, 20_000_000
# Nodes that differ by less share their weights: round-off of t over h.
_SAME = 1e-10
_SLOTS = MOST_VALUES + 1


class Controls(NamedTuple):
    """What holds for all samples of a run; tolerances are relative to the size of u at the start."""

    tolerance: float
    tail: float  # of the last modes
    idle: float  # of the modes that a smaller basis lacks, below which they are dropped; < 0: never
    settled: int  # steps before too few modes are believed
    longest: float  # step
    values: int  # in a polynomial; 0: chosen
    times: FloatArray  # of output


class Samples(NamedTuple):
    """Where each sample stands; changed in place, first axis the sample."""

    state: FloatArray  # (sample, parts, modes)
    past: FloatArray  # (sample, 7, parts, modes): N, the latest first
    past_times: FloatArray  # (sample, 7)
    known: IntArray  # how many of them
    values: IntArray  # how many of them the next step uses
    time: FloatArray
    step: FloatArray  # the next
    nodes: FloatArray  # (sample, 7), where they are seen from the next step, and how many that were
    decay: FloatArray  # λ, (sample, modes), rising
    nu: FloatArray  # in the units of max|u|² · time
    scale: FloatArray  # size of u at the start
    peak: FloatArray  # max u²
    steps: IntArray
    refused: IntArray
    since: IntArray  # steps since the modes changed
    ahead: IntArray  # number of the next output
    status: IntArray
    tail: FloatArray  # largest seen
    answers: FloatArray  # (sample, nt, parts, modes)


def rate(plan: Any, sample: Any, time: Any, state: Any, out: Any, peak: Any, work: Any) -> None:
    """out = N(time, state) of the lanes from `sample` on, (parts, modes · lanes), peak = max u²; compiled code runs the plan's own."""
    raise NotImplementedError


def tails(plan: Any, state: Any, last: Any, spare: Any, work: Any) -> None:
    """Largest of the last modes of each lane, and of the last that a smaller basis has and beyond; compiled code runs the plan's own."""
    raise NotImplementedError


@compiled
def _choose_weights(
    of: Any, s: Any, z: Any, phi: Any, own: Any, table: Any, shares: Any, lane: Any, lanes: Any
) -> None:
    """Weights for the next step of sample s into its lane."""
    count, h = of.values[s], of.step[s]
    for i in range(z.size):
        z[i] = -of.decay[s, i] * h
    fill_phi(z, count + 1, phi)
    weigh(of.nodes[s, :count], h, phi, own)
    for row in range(TABLES):
        for i in range(z.size):
            table[row, i * lanes + lane] = own[row, i]
    extrapolation = np.zeros(MOST_VALUES)
    lagrange(of.nodes[s, :count], 1.0, extrapolation)
    for j in range(MOST_VALUES):
        for i in range(z.size):
            shares[j, i * lanes + lane] = extrapolation[j]


@compiled
def _halt(table: Any, shares: Any, lane: Any, lanes: Any) -> None:
    """Weights of a step that changes nothing."""
    table[:, lane::lanes] = 0.0
    table[DECAY, lane::lanes] = 1.0
    shares[:, lane::lanes] = 0.0


@compiled
def _predict(
    table: Any, shares: Any, count: Any, state: Any, past: Any, head: Any, out: Any, known: Any
) -> None:
    """out = e^z y + Σ weights · N, known = N extrapolated."""
    for part in range(state.shape[0]):
        y, x, u, decay = out[part], known[part], state[part], table[DECAY]
        for i in range(u.size):
            y[i] = decay[i] * u[i]
        x[:] = 0.0
        for j in range(count):
            n, w, e = past[(head + j) % _SLOTS, part], table[j], shares[j]
            for i in range(n.size):
                y[i] += w[i] * n[i]
            for i in range(n.size):
                x[i] += e[i] * n[i]


@compiled
def _correct(table: Any, lanes: Any, found: Any, known: Any, out: Any, wrong: Any) -> None:
    """Add the corrector's term to the prediction; wrong = its distance from the corrector of one order less, by lane."""
    wrong[:] = 0.0
    for part in range(out.shape[0]):
        n, x, y, c, e = found[part], known[part], out[part], table[CORRECTION], table[ESTIMATE]
        for i in range(x.size):
            x[i] = n[i] - x[i]
        for i in range(y.size):
            y[i] += c[i] * x[i]
        for i in range(y.size):
            n[i] = e[i] * x[i]
        for i in range(0, n.size, lanes):
            for lane in range(lanes):
                wrong[lane] += n[i + lane] * n[i + lane]
    for lane in range(lanes):
        wrong[lane] = np.sqrt(wrong[lane])


@compiled
def _report(
    of: Any,
    controls: Any,
    s: Any,
    lane: Any,
    lanes: Any,
    state: Any,
    new: Any,
    past: Any,
    head: Any,
    z: Any,
    phi: Any,
) -> None:
    """Outputs that the step just taken has passed, by the polynomial through N at its end and before."""
    h, t, count = of.step[s], of.time[s], of.values[s]
    nodes, tables = np.empty(count + 1), np.empty((count + 1, z.size))
    end = t + h if t + h < controls.times[-1] else controls.times[-1]
    while of.ahead[s] < controls.times.size and controls.times[of.ahead[s]] <= end:
        share = (controls.times[of.ahead[s]] - t) / h
        out = of.answers[s, of.ahead[s]]
        of.ahead[s] += 1
        if of.ahead[s] == controls.times.size or share > 1.0 - _SAME:
            for part in range(out.shape[0]):
                for i in range(z.size):
                    out[part, i] = new[part, i * lanes + lane]
            continue
        for i in range(z.size):
            z[i] = -of.decay[s, i] * h * share
        nodes[0] = 1.0 / share
        for j in range(count):
            nodes[j + 1] = of.nodes[s, j] / share
        fill_phi(z, count + 2, phi)
        weigh_values(nodes, h * share, phi, tables)
        for part in range(out.shape[0]):
            for i in range(z.size):
                value = phi[0, i] * state[part, i * lanes + lane]
                for j in range(count + 1):
                    value += tables[j, i] * past[(head + j) % _SLOTS, part, i * lanes + lane]
                out[part, i] = value


@compiled
def _forget_last(past: Any, head: Any, lane: Any, lanes: Any) -> None:
    """Undo, for one lane, that a value of N was entered."""
    for j in range(_SLOTS - 1):
        past[(head + j) % _SLOTS, :, lane::lanes] = past[(head + j + 1) % _SLOTS, :, lane::lanes]


@compiled
def _set_step(of: Any, controls: Any, s: Any, h: Any) -> Any:
    """Choose the next step and where the values of N are seen from it; whether that asks for new weights."""
    stop = controls.times[-1]
    h = planned_step(of.time[s], min(h, controls.longest), stop)
    count, most = of.values[s], 0.0
    changed = h != of.step[s]
    for j in range(count):
        node = (of.past_times[s, j] - of.time[s]) / h
        most = max(most, abs(node - of.nodes[s, j]) / (1.0 + abs(node)))
        if changed:
            of.nodes[s, j] = node
    if not changed and (most > _SAME or of.nodes[s, MOST_VALUES] != count):
        for j in range(count):
            of.nodes[s, j] = (of.past_times[s, j] - of.time[s]) / h
        changed = True
    of.nodes[s, MOST_VALUES] = count
    of.step[s] = h
    return changed


@compiled
def _set_order(of: Any, controls: Any, s: Any, h: Any) -> None:
    """As many values as are stable with the step, one more or less at a time."""
    known, now = of.known[s], of.values[s]
    if controls.values > 0:
        of.values[s] = min(known, controls.values)
        return
    number = np.sqrt(of.peak[s] * h / of.nu[s])
    wanted = _LEAST_VALUES
    for count in range(_LEAST_VALUES + 1, _SLOTS):
        if number <= _STABLE[count] * (_WITHIN if count > now else 1.0):
            wanted = count
    of.values[s] = min(
        known, now + 1 if wanted > now else (now - 1 if wanted < now and now > _LEAST_VALUES else now)
    )


@compiled
def _advance(of: Any, controls: Any, s: Any, wrong: Any) -> Any:
    """After a step that counts: its end, the next order and step; whether that asks for new weights."""
    end, h = of.time[s] + of.step[s], of.step[s]
    if end >= controls.times[-1] * (1.0 - 1e-15):
        end = controls.times[-1]
    of.time[s] = end
    of.steps[s] += 1
    of.since[s] += 1
    for j in range(_SLOTS - 1, 0, -1):
        of.past_times[s, j] = of.past_times[s, j - 1]
    of.past_times[s, 0] = end
    count = of.values[s]
    of.known[s] = min(of.known[s] + 1, MOST_VALUES)
    if end >= controls.times[-1]:
        of.status[s] = ARRIVED
        return False
    if of.steps[s] + of.refused[s] >= _MOST_STEPS:
        of.status[s] = ENDLESS
        return False
    allowed = controls.tolerance * of.scale[s]
    factor = _MOST_GROWTH
    if wrong * 2.0 ** (count + 1) > allowed * _SAFETY ** (count + 1):
        factor = _SAFETY * (allowed / wrong) ** (1.0 / (count + 1.0))
    if count >= _LEAST_VALUES and factor < _WORTH:
        factor = 1.0 if factor > _CLOSE else _SHORTER
    h = min(h * max(factor, 0.5), controls.longest)
    _set_order(of, controls, s, h)
    return _set_step(of, controls, s, h)


@compiled
def _retreat(of: Any, controls: Any, s: Any, wrong: Any) -> None:
    """After a step that was too long, or that broke: a shorter one."""
    of.refused[s] += 1
    factor = 0.25
    if np.isfinite(wrong):
        count = of.values[s]
        factor = max(0.25, 0.8 * (controls.tolerance * of.scale[s] / wrong) ** (1.0 / (count + 1.0)))
    shorter = factor * of.step[s]
    if not shorter > _LEAST_STEP * (controls.times[-1] - controls.times[0]):
        of.status[s] = BROKEN
        return
    _set_order(of, controls, s, shorter)
    _set_step(of, controls, s, shorter)


@compiled
def _judge_modes(of: Any, controls: Any, s: Any, last: Any, spare: Any) -> None:
    """Stop where the modes are too few, or where many have nothing to do."""
    if of.since[s] >= controls.settled:
        of.tail[s] = max(of.tail[s], last)
    if of.status[s] == RUNNING:
        if last > controls.tail * of.scale[s] and of.since[s] >= controls.settled:
            of.status[s] = COARSE
        elif spare < controls.idle * of.scale[s] and of.since[s] >= _PATIENCE:
            of.status[s] = FINE


@compiled
def _start(of: Any, controls: Any, s: Any, lane: Any, lanes: Any, state: Any, found: Any) -> None:
    """The first value of N, and a first step that moves u by a small part of what the tolerance allows to the next order."""
    moved = 0.0
    for part in range(state.shape[0]):
        for i in range(of.decay.shape[1]):
            n = found[part, i * lanes + lane]
            of.past[s, 0, part, i] = n
            moved += (n - of.decay[s, i] * state[part, i * lanes + lane]) ** 2
    of.known[s], of.values[s], of.past_times[s, 0] = 1, 1, of.time[s]
    span = controls.times[-1] - controls.times[0]
    h = min(span, 1e-3 * controls.longest)
    if moved > 0.0:
        small = controls.tolerance if np.isfinite(controls.tolerance) else 1e-14
        h = min(h, 0.1 * np.sqrt(min(small, 1e-4)) * of.scale[s] / np.sqrt(moved))
    _set_step(of, controls, s, max(h, 10.0 * _LEAST_STEP * span))


@compiled
def march(first: Any, last: Any, plan: Any, controls: Any, of: Any) -> None:
    """Step groups of `plan.lanes` samples until most of each have arrived or cannot go on."""
    lanes = plan.lanes
    samples, parts, modes = of.state.shape
    size = modes * lanes
    state, new = np.zeros((parts, size)), np.zeros((parts, size))
    found, known = np.zeros((parts, size)), np.zeros((parts, size))
    past = np.zeros((_SLOTS, parts, size))
    table, shares = np.zeros((TABLES, size)), np.zeros((MOST_VALUES, size))
    z, phi, own = np.empty(modes), np.empty((MOST_VALUES + 3, modes)), np.empty((TABLES, modes))
    nowhere = np.zeros(0)
    wrong, peak, ends, spares, time = (
        np.zeros(lanes),
        np.zeros(lanes),
        np.zeros(lanes),
        np.zeros(lanes),
        np.zeros(lanes),
    )
    work = np.zeros((plan.buffers, plan.width))
    for group in range(first, last):
        base = group * lanes
        here = min(lanes, samples - base)
        state[:], past[:], time[:] = 0.0, 0.0, 0.0
        for lane in range(here):
            state[:, lane::lanes] = of.state[base + lane]
            time[lane] = of.time[base + lane]
        rate(plan, base, time, state, found, peak, work)
        for lane in range(lanes):
            _halt(table, shares, lane, lanes)
        for lane in range(here):
            s = base + lane
            if of.known[s] == 0:
                of.peak[s] = peak[lane]
                _start(of, controls, s, lane, lanes, state, found)
            past[:, :, lane::lanes] = of.past[s]
            _choose_weights(of, s, z, phi, own, table, shares, lane, lanes)
        head, running = 0, here
        # Samples that wait for the rest of their group are better regrouped.
        while running > here // 2:
            count = 0
            for lane in range(here):
                if of.status[base + lane] == RUNNING:
                    count = max(count, of.values[base + lane])
                    time[lane] = min(of.time[base + lane] + of.step[base + lane], controls.times[-1])
            _predict(table, shares, count, state, past, head, new, known)
            rate(plan, base, time, new, found, nowhere, work)
            _correct(table, lanes, found, known, new, wrong)
            for lane in range(here):
                if not wrong[lane] <= controls.tolerance * of.scale[base + lane]:
                    new[:, lane::lanes] = state[:, lane::lanes]
            head = (head + _SLOTS - 1) % _SLOTS
            rate(plan, base, time, new, past[head], peak, work)
            tails(plan, new, ends, spares, work)
            for lane in range(here):
                s = base + lane
                if of.status[s] != RUNNING:
                    continue
                if wrong[lane] <= controls.tolerance * of.scale[s]:
                    _report(of, controls, s, lane, lanes, state, new, past, head, z, phi)
                    of.peak[s] = peak[lane]
                    renew = _advance(of, controls, s, wrong[lane])
                    _judge_modes(of, controls, s, ends[lane], spares[lane])
                else:
                    _forget_last(past, head, lane, lanes)
                    _retreat(of, controls, s, wrong[lane])
                    renew = True
                if of.status[s] != RUNNING:
                    running -= 1
                    _save(of, s, lane, lanes, new, past, head)
                    _halt(table, shares, lane, lanes)
                elif renew:
                    _choose_weights(of, s, z, phi, own, table, shares, lane, lanes)
            state, new = new, state
        for lane in range(here):
            if of.status[base + lane] == RUNNING:
                _save(of, base + lane, lane, lanes, state, past, head)


@compiled
def _save(of: Any, s: Any, lane: Any, lanes: Any, state: Any, past: Any, head: Any) -> None:
    for part in range(state.shape[0]):
        for i in range(of.decay.shape[1]):
            of.state[s, part, i] = state[part, i * lanes + lane]
    for j in range(_SLOTS):
        for part in range(state.shape[0]):
            for i in range(of.decay.shape[1]):
                of.past[s, j, part, i] = past[(head + j) % _SLOTS, part, i * lanes + lane]
