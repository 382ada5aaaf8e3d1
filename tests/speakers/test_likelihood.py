"""Log-probabilities of tokens without all logits at once: the plain way is the oracle."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from counterpoint.lm.generate import TOGETHER, log_probs  # noqa: E402


def plain(hidden, unembedding, tokens, temperature):
    logits = (hidden @ unembedding.T).float() / temperature
    return -torch.nn.functional.cross_entropy(logits, tokens, reduction="none")


@pytest.mark.parametrize("count", [0, 1, TOGETHER, 2 * TOGETHER + 3])
@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
def test_values_and_gradients_are_those_of_the_plain_way(count, temperature):
    drawn = torch.Generator().manual_seed(count)
    unembedding = torch.randn(50, 8, generator=drawn)
    tokens = torch.randint(50, (count,), generator=drawn)
    weight = torch.randn(count, generator=drawn)
    ours = torch.randn(count, 8, generator=drawn).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    found = log_probs(ours, unembedding, tokens, temperature)
    wanted = plain(theirs, unembedding, tokens, temperature)
    torch.testing.assert_close(found, wanted)
    (found * weight).sum().backward()
    (wanted * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_gradient_is_that_of_finite_differences():
    drawn = torch.Generator().manual_seed(7)
    unembedding, hidden = torch.randn(11, 4, generator=drawn), torch.randn(3, 4, generator=drawn)
    tokens, step = torch.tensor([0, 10, 4]), 1e-2
    hidden.requires_grad_()
    log_probs(hidden, unembedding, tokens, 0.7).sum().backward()
    for row in range(3):
        for column in range(4):
            shift = torch.zeros(3, 4)
            shift[row, column] = step
            up, down = (
                log_probs(hidden.detach() + sign * shift, unembedding, tokens, 0.7).sum()
                for sign in (1, -1)
            )
            assert float(hidden.grad[row, column]) == pytest.approx(
                float(up - down) / (2 * step), abs=1e-3
            )


def test_a_nearly_certain_token_keeps_its_small_gradient_in_16_bits():
    # p = 1 - 1e-4: what is left of the gradient is far below the rounding of u itself.
    unembedding = torch.tensor([[9.2103, 0.0], [0.0, 0.0]]).bfloat16()
    hidden = torch.tensor([[1.0, 0.0]]).bfloat16().requires_grad_()
    log_probs(hidden, unembedding, torch.tensor([0]), 1.0).sum().backward()
    p = float(torch.sigmoid(unembedding[0, 0].float()))
    assert float(hidden.grad[0, 0]) == pytest.approx((1 - p) * float(unembedding[0, 0]), rel=1e-2)


def test_where_no_gradient_is_wanted_none_is_made():
    hidden, unembedding = torch.randn(3, 4), torch.randn(11, 4)
    found = log_probs(hidden, unembedding, torch.tensor([0, 1, 2]), 1.0)
    assert not found.requires_grad
    with torch.no_grad():
        assert not log_probs(
            hidden.requires_grad_(), unembedding, torch.tensor([0, 1, 2]), 1.0
        ).requires_grad
