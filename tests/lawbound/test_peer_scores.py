"""Peers' scores against their formulas written out point by point, on frozen arrays."""

import math

import numpy as np
import pytest

from lawbound import peer_scores

RANDOM = np.random.default_rng(7)
U, R = RANDOM.normal(size=(2, 3, 2, 30))  # (sample, field, x)
PLANE_U, PLANE_R = RANDOM.normal(size=(2, 2, 1, 20, 26))


def by_hand(formula, u=U, r=R):
    """Over samples: the formula of each field's list of values."""
    return [
        [formula(list(a.ravel()), list(b.ravel())) for a, b in zip(x, y, strict=True)]
        for x, y in zip(u, r, strict=True)
    ]


def mean_square(values):
    return math.fsum(v * v for v in values) / len(values)


def gap(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def test_the_wells_scores_have_an_unbiased_variance_and_an_epsilon_under_the_root():
    def vrmse(a, b):
        centre = math.fsum(b) / len(b)
        variance = math.fsum((v - centre) ** 2 for v in b) / (len(b) - 1)
        return math.sqrt(mean_square(gap(a, b)) / (variance + 1e-7))

    np.testing.assert_allclose(peer_scores.vrmse_the_well(U, R), np.mean(by_hand(vrmse), axis=1))
    nrmse = by_hand(lambda a, b: math.sqrt(mean_square(gap(a, b)) / (mean_square(b) + 1e-7)))
    np.testing.assert_allclose(peer_scores.nrmse_the_well(U, R), np.mean(nrmse, axis=1))
    flat = np.zeros_like(R)
    assert np.all(peer_scores.vrmse_the_well(flat + 1.0, flat) == pytest.approx(1.0 / math.sqrt(1e-7)))


def test_pdebench_and_apebench_agree_on_one_field_and_two_fields_double_the_latter():
    ratio = by_hand(lambda a, b: math.sqrt(mean_square(gap(a, b)) / mean_square(b)))
    np.testing.assert_allclose(peer_scores.nrmse_pdebench(U, R), np.mean(ratio, axis=1))
    np.testing.assert_allclose(peer_scores.nrmse_apebench(U, R), np.sum(ratio, axis=1))
    np.testing.assert_allclose(peer_scores.nrmse_apebench(U, R), 2 * peer_scores.nrmse_pdebench(U, R))
    np.testing.assert_allclose(peer_scores.relative_l2_neuralop(U, R), np.sum(ratio, axis=1), rtol=1e-7)


def test_physicsnemo_takes_all_fields_together_and_floors_the_square():
    together = [
        math.sqrt(mean_square((u - r).ravel()) / mean_square(r.ravel())) for u, r in zip(U, R, strict=True)
    ]
    np.testing.assert_allclose(peer_scores.relative_l2_physicsnemo(U, R), together)
    assert peer_scores.relative_l2_physicsnemo(np.ones((1, 1, 1)), np.zeros((1, 1, 1)))[0] == pytest.approx(
        1e4
    )


def test_crmse_compares_sums_over_samples_before_the_root():
    sums = (U.sum(-1) - R.sum(-1)) ** 2
    np.testing.assert_allclose(
        peer_scores.crmse_pdebench(peer_scores.mean_gap(U, R)), (np.sqrt(sums.mean(0)) / 30).mean()
    )


def test_brmse_counts_the_outermost_points_and_corners_twice():
    edge = np.sqrt(((U - R)[..., 0] ** 2 + (U - R)[..., -1] ** 2) / 2)
    np.testing.assert_allclose(peer_scores.brmse_pdebench(U, R), edge.mean(-1))
    e2 = (PLANE_U - PLANE_R)[:, 0] ** 2
    wanted = []
    for sample in e2:
        total = sum(sample[0, j] + sample[-1, j] for j in range(26)) + sum(
            sample[i, 0] + sample[i, -1] for i in range(20)
        )
        wanted.append(math.sqrt(total / (2 * 26 + 2 * 20)))
    np.testing.assert_allclose(peer_scores.brmse_pdebench(PLANE_U, PLANE_R), wanted)


def transform(values, k):
    n = len(values)
    return sum(v * np.exp(-2j * np.pi * k * i / n) for i, v in enumerate(values))


@pytest.mark.parametrize(("band", "modes"), [(0, range(4)), (1, range(4, 12)), (2, range(12, 16))])
def test_frmse_on_a_line_is_a_mean_over_modes_of_roots_over_samples(band, modes):
    each = [
        np.mean(
            [
                math.sqrt(np.mean([abs(transform((U - R)[s, f], k)) ** 2 for s in range(3)])) / 30
                for k in modes
            ]
        )
        for f in range(2)
    ]
    got = peer_scores.frmse_pdebench(peer_scores.mode_errors(U, R), band, 30)
    assert got == pytest.approx(np.mean(each))


def test_frmse_on_a_plane_sums_one_quadrant_over_rings():
    spectrum = np.abs(np.fft.fft2(PLANE_U - PLANE_R)) ** 2
    rings = np.zeros((2, 1, 10))
    for i in range(10):
        for j in range(13):
            ring = math.floor(math.sqrt(i * i + j * j))
            if ring < 10:
                rings[:, :, ring] += spectrum[:, :, i, j]
    root = np.sqrt(rings.mean(0)) / (20 * 26)
    errors = peer_scores.mode_errors(PLANE_U, PLANE_R)
    assert peer_scores.frmse_pdebench(errors, 0, 20 * 26) == pytest.approx(root[:, :4].mean())
    assert peer_scores.frmse_pdebench(errors, 1, 20 * 26) == pytest.approx(root[:, 4:].mean())
    assert np.isnan(peer_scores.frmse_pdebench(errors, 2, 20 * 26))  # ten rings have no mode 12


@pytest.mark.parametrize(
    "formula",
    [
        peer_scores.vrmse_the_well,
        peer_scores.nrmse_the_well,
        peer_scores.nrmse_pdebench,
        peer_scores.nrmse_apebench,
        peer_scores.relative_l2_neuralop,
        peer_scores.relative_l2_physicsnemo,
        peer_scores.brmse_pdebench,
    ],
)
def test_the_truth_itself_scores_nothing_and_samples_do_not_see_each_other(formula):
    assert np.all(formula(R, R) == 0.0)
    np.testing.assert_array_equal(formula(U, R)[1:2], formula(U[1:2], R[1:2]))
