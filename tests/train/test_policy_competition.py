"""Sides that play against each other: past selves, and games whose results are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from step_worlds import small

from bench_modules import bench_module
from counterpoint.comparison.plan import Plan
from counterpoint.comparison.sequential import SequentialComparison
from counterpoint.errors import SettingError, StateError
from counterpoint.report import render
from counterpoint.report.terminal.parts import training_parts
from counterpoint.results import encode
from counterpoint.runs.directory import RunDirectory
from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.competition.collector import side_returns
from counterpoint.train.ppo.competition.games import (
    Entrant,
    Pairing,
    play_games,
    ratings_of,
    record_of,
    results_of,
)
from counterpoint.train.ppo.competition.pool import Pool
from counterpoint.train.ppo.critics import generalized_advantages, rewards_by_decision
from counterpoint.train.ppo.learner import Crediting, Learner
from counterpoint.train.ppo.memory import memory_need
from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.train.result import training_result
from counterpoint.train.session import plan_of
from counterpoint.worlds.sequential.sides import sides_from
from counterpoint.worlds.sequential.twin import Twin
from counterpoint.worlds.sequential.world import Actions, View
from counterpoint.worlds.sequential.wrapped import PermutedStepWorld


class HigherCardWins(Twin):
    """Two players show one of three cards each, for two rounds; the higher card gets 1 from the
    lower one in the second round. Card 2 is the best reply to everything: against cards at random
    it wins 2/3 of the games, and draws the others."""

    name, summary, source, scale = "cards", "the higher card wins", "ours", "none"
    measured = (None, None)

    def build(self):
        self.agents = self.roles = ("north", "south")
        self.actions, self.state_size, self.seen_sizes = (Actions(3),) * 2, 1, (1, 1)
        self.horizon = 2
        self.held |= {"round": np.zeros(self.copies, dtype=np.int64)}

    def begin(self, copies):
        self.held["round"][copies] = 0

    def advance(self, actions):
        self.held["round"] += 1
        sign = np.sign(actions[:, 0] - actions[:, 1]) * (self.held["round"] == 2)
        return np.stack([sign, -sign], axis=1).astype(float), np.zeros(self.copies, dtype=bool)

    def view(self):
        seen = np.repeat(self.held["round"][:, None, None] * 1.0, 2, axis=1).astype(np.float32)
        return View(seen, seen[:, 0], np.ones((self.copies, 2), dtype=bool))

    def scripted(self, rng):
        return np.full((self.copies, 2), 2)


GAME = {"sides": "agents", "scoring": "game", "pool_every": 2, "pool_size": 4}
NORTH_SOUTH = sides_from("agents", ("north", "south"), ("north", "south"))


def cards(**given):
    policy = {"copies": 32, "steps": 8, "lr": 0.02, "parameters": "separate", **GAME}
    return Learner(HigherCardWins(copies=32), "none", small(**{**policy, **given}), 0)


def always(team, card):
    """The team, showing one card whatever it sees."""
    with torch.no_grad():
        for actor in team.actors:
            actor.network.head.weight.zero_()
            actor.network.head.bias.copy_(20.0 * torch.eye(3)[card])
    return team


def pool_of(learner, *cards):
    """A pool whose past selves always show one card each."""
    pool = Pool(learner.team, learner.settings, 0)
    for number, card in enumerate(cards):
        pool.players.put(number, always(learner.team, card))
    return pool


def games(entrants, pairings, pool):
    def make(wave, copies):
        return HigherCardWins(copies=copies)

    settings = cards().settings
    return play_games(make, pool, settings, NORTH_SOUTH, entrants, pairings, 0)


def test_the_best_reply_is_learned_and_rated_as_arithmetic_says():
    learner = cards()
    for _ in range(12):
        learner.update()
    pool = learner.collector.pool
    entrants = [Entrant("random actions", None), Entrant("team", pool.with_team(), greedy=True)]
    returns = games(entrants, [Pairing(1, 0, 600)], pool)
    record = record_of(returns, NORTH_SOUTH, "game", entrants[0], greedy=True)
    assert record.losses == record.unended == 0
    assert record.wins / 1200 == pytest.approx(2 / 3, abs=0.055)  # 4 standard deviations
    assert record.points.value == pytest.approx(5 / 6, abs=0.03)
    assert [seat.side for seat in record.seats] == ["north", "south"]
    assert all(seat.own == -seat.other for seat in record.seats)


def test_who_sits_where_decides_the_returns_of_every_seat():
    entrants, pool = [Entrant("best", 0), Entrant("worst", 1)], pool_of(cards(), 2, 0)
    returns = games(entrants, [Pairing(0, 1, 3), Pairing(1, 0, 2), Pairing(0, 0, 1)], pool)
    wanted = [[[1, -1]] * 3 + [[-1, 1]] * 2 + [[0, 0]], [[-1, 1]] * 3 + [[1, -1]] * 2 + [[0, 0]]]
    assert returns.tolist() == wanted
    points = results_of(returns, NORTH_SOUTH, "game")
    assert points.games.tolist() == [[1, 1, 1, 0, 0, 0.5]] * 2
    assert points.scored.tolist() == [1, 1, 1, 0, 0, 0.5] * 2
    assert results_of(returns, NORTH_SOUTH, "match").scored.tolist() == [1, 1, 1, 0, 0, 0.5]


def test_a_match_is_won_by_the_larger_sum_over_both_sides():
    # north is worth 10 whoever plays it: a game says nothing, and the match is decided by 1
    returns = np.array([[[10.0, 0.0]], [[9.0, 0.0]]])
    assert results_of(returns, NORTH_SOUTH, "game").scored.tolist() == [1, 0]
    assert results_of(returns, NORTH_SOUTH, "match").scored.tolist() == [1]


def test_a_game_that_does_not_end_is_left_out_and_counted():
    returns = np.array([[[1.0, -1.0], [np.nan, np.nan]], [[-1.0, 1.0], [0.0, 0.0]]])
    record = record_of(returns, NORTH_SOUTH, "game", Entrant("x", None), greedy=False)
    assert (record.wins, record.draws, record.losses, record.unended) == (2, 1, 0, 1)


def test_elo_is_400_for_odds_of_10_and_its_interval_widens_with_fewer_games():
    entrants = [Entrant("random actions", None), Entrant("team", None)]
    many = ratings_of(np.array([[0, 1000.0], [10_000, 0]]), entrants)
    few = ratings_of(np.array([[0, 1.0], [10, 0]]), entrants)
    assert (many[0].elo, many[0].low, many[0].high) == (0, 0, 0)
    assert many[1].elo == pytest.approx(400, abs=3)
    assert few[1].high - few[1].low > 3 * (many[1].high - many[1].low)


def test_nothing_is_learned_from_the_decisions_of_a_past_self():
    learner = cards(pool_share=1.0, pool_every=1)
    learner.update()  # the first self enters
    learner.update()
    batch = learner.collector.play(learner.team)
    seats = batch.seats
    assert (seats.opponent >= 0).any()
    against = seats.opponent >= 0
    assert (seats.learned.sum(axis=0)[against] == 1).all()
    assert (seats.learned.sum(axis=0)[~against] == 2).all()
    before = learner.estimate(batch)
    theirs = ~seats.learned
    assert (before.advantage[theirs] == 0).all()
    batch.log_prob[theirs] = np.nan  # whatever they did, no loss reads it
    returns = side_returns(batch, NORTH_SOUTH)
    assert set(returns) == {"return.north", "return.south", "opponents"}


def test_sides_alternate_from_episode_to_episode():
    learner = cards(pool_share=1.0, pool_every=1, steps=12)
    learner.update()
    batch = learner.collector.play(learner.team)
    side = batch.seats.side[::2]  # an episode has two steps
    assert (abs(np.diff(side, axis=0)) == 1).all()
    assert set(side.ravel().tolist()) == {0, 1}


def test_a_past_self_plays_what_it_played_when_it_entered():
    learner = cards()
    pool = pool_of(learner, 1)
    always(learner.team, 0)
    entrants = [Entrant("past", 0), Entrant("now", pool.with_team())]
    assert games(entrants, [Pairing(0, 1, 4)], pool)[0].tolist() == [[1, -1]] * 4


def test_a_full_pool_forgets_every_second_self_and_keeps_the_first():
    learner = cards(pool_every=3, pool_size=4)
    pool = Pool(learner.team, learner.settings, 0)
    forgot = [update for update in range(100) if pool.enter(update)]
    assert pool.entered == [0, 48, 96]
    assert forgot == [12, 24, 48, 96]
    assert pool.every == 48


def test_harder_opponents_are_drawn_more_often():
    pool = Pool(cards().team, cards(opponents="hardest", pool_first=0.0).settings, 0)
    pool.enter(5)
    pool.enter(10)
    pool.observe(np.array([0] * 50 + [1] * 50), np.array([1.0] * 50 + [0.0] * 50))
    assert pool.draw(200).mean() > 0.95
    for first, mean in ((0.0, 0.5), (0.5, 0.25)):
        even = Pool(cards().team, cards(pool_first=first).settings, 0)
        even.enter(5)
        even.enter(10)
        even.observe(np.array([0] * 50 + [1] * 50), np.array([1.0] * 50 + [0.0] * 50))
        assert even.draw(400).mean() == pytest.approx(mean, abs=0.1)


@pytest.mark.parametrize("scoring", ["game", "match"])
def test_the_pool_knows_which_self_is_harder_although_nobody_plays_itself(scoring):
    learner = cards(pool_share=1.0, pool_first=0.0, pool_every=100, scoring=scoring)
    collector, team = learner.collector, learner.team
    for number, card in enumerate((0, 2)):
        collector.pool.players.put(number, always(team, card))
    collector.pool.entered = [0, 1]
    collector.play(always(team, 2))  # the first games began before, all against number 0
    pool = collector.pool
    assert (pool.games[:2] > 10).all()
    # card 2 beats card 0 always, and draws with itself, which is less than it gets on average
    wanted = {"game": (1.0, 0.5), "match": (1.0, 0.0)}[scoring]
    assert tuple(pool.points[:2] / pool.games[:2]) == pytest.approx(wanted, abs=0.01)


def plan(**given):
    policy = small(**{
        "copies": 8, "steps": 7, "evaluate_every": 3, "sides": "player_0/player_1", "pool_every": 1,
        "pool_size": 2, "observations": "normalized", "opponents": "hardest", **given,
    })  # fmt: skip
    return TrainPlan(
        "repeated_game", "mappo_per_agent", 3, 8 * 7 * 5, None,
        {"game": "rock_paper_scissors", "rounds": 5}, policy, episodes=4,
    )  # fmt: skip


def rows_of(trained):
    return [replace(row, seconds=0) for row in trained.rows]


@pytest.mark.fault("R3")
@pytest.mark.few(1)
@pytest.mark.parametrize("given", [{"parameters": "separate"}, {"memory": "gru"}])
def test_a_stopped_training_against_past_selves_goes_on_bit_for_bit(tmp_path, given):
    what = plan(**given)
    whole = train_to_end(what)
    rows = []
    with RunDirectory.create(tmp_path / "run", what.config()) as run:
        train_to_end(what, run=run, on_row=rows.append, should_stop=lambda: len(rows) == 3)
    with RunDirectory.open(tmp_path / "run") as run:
        resumed = train_to_end(TrainPlan.from_config(run.config), run=run)
    assert rows_of(resumed) == rows_of(whole)
    assert resumed.returns.tolist() == whole.returns.tolist()


def test_the_run_of_a_competition_says_who_won(tmp_path):
    with RunDirectory.create(tmp_path / "run", plan().config()) as run:
        train_to_end(plan(), run=run)
    result = training_result(tmp_path / "run")
    competition = result.competition
    assert competition.sides == {"player_0": ["player_0"], "player_1": ["player_1"]}
    assert [(r.opponent, r.actions) for r in competition.records[:4]] == [
        ("random actions", "sampled"), ("random actions", "greedy"),
        ("first self", "sampled"), ("first self", "greedy"),
    ]  # fmt: skip
    assert [r.wins + r.draws + r.losses for r in competition.records[:4]] == [4] * 4  # matches
    assert competition.ratings[0].elo == 0
    assert {"return.player_0", "return.player_1"} <= set(result.curve)
    known = [x for x in result.curve["return"] if x is not None]
    assert len(known) == 1
    assert all(0 <= x <= 1 for x in known)
    assert result.returned == competition.records[0].points.value
    page = render(result)
    assert "Elo of the past selves" in page
    assert "cannot tell" in page
    assert training_parts(result)
    assert encode(result)
    (tmp_path / "run" / "games.json").write_text("{")
    assert training_result(tmp_path / "run").competition == replaced(competition)


def replaced(competition):
    return type(competition)(sides=competition.sides, scoring=competition.scoring)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_order_in_which_agents_are_listed_changes_nothing(share):
    found = []
    for order in ((0, 1), (1, 0)):
        world = PermutedStepWorld(HigherCardWins(copies=32), order)
        world = PermutedStepWorld(world, np.argsort(world.agents).tolist())
        settings = small(copies=32, steps=8, pool_share=share, **GAME)
        learner = Learner(world, "mappo_per_agent", settings, 0)
        for _ in range(4):
            learner.update()
        found.append(learner.adam.weights.numpy().tobytes())
    assert found[0] == found[1]


def test_a_plan_takes_the_sides_that_play_shows_and_says_so():
    given = {"game": "rock_paper_scissors"}
    made = plan_of("repeated_game", given=given)
    assert made.policy.sides == "player_0/player_1"
    assert "player_0 against player_1" in made.notes[0]
    assert plan_of("repeated_game", given={**given, "sides": "none"}).policy.sides == "none"
    assert plan_of("repeated_game", given={**given, "reward": "common"}).policy.sides == "none"
    with pytest.raises(SettingError, match="pays all sides the same"):
        plan_of("repeated_game", given={**given, "reward": "common", "sides": "agents"})
    assert (made.policy.epochs, made.policy.minibatches, made.policy.hidden) == (4, 8, 128)
    by_hand = plan_of("repeated_game", given={**given, "hidden": 32, "copies": 2, "steps": 3})
    assert (by_hand.policy.hidden, by_hand.policy.minibatches) == (32, 6)
    assert plan_of("spread").policy.sides == "none"
    assert plan_of("spread").policy.hidden == 64
    assert plan_of("spread", given={"sides": "agent_0/agent_1+agent_2"}).notes[0].startswith("the")


def test_all_schemes_of_a_comparison_take_the_sides_that_were_found_once():
    plan = Plan("repeated_game", ("mappo_pooled", "none"), settings={"game": "matching_pennies"})
    arms = SequentialComparison(plan).plans
    found = [
        (arm.policy.sides, arm.policy.scoring, arm.policy.evaluate_every) for arm in arms.values()
    ]
    assert found[0] == found[1] == ("player_0/player_1", "match", found[0][2])
    alone = [plan_of("repeated_game", name, given=plan.settings).policy for name in plan.schemes]
    assert [arm.policy for arm in arms.values()] == alone


def test_a_run_from_before_there_were_sides_has_none():
    config = plan().config()
    del config["policy"]["pool_first"]
    assert TrainPlan.from_config(config).policy.pool_first == 0.0  # all selves were alike
    for name in ("sides", "scoring", "pool_share", "pool_every", "pool_size", "opponents"):
        del config["policy"][name]
    assert TrainPlan.from_config(config).policy.sides == "none"


def test_what_concerns_sides_alone_distinguishes_no_trainings_without_them():
    others = {"pool_share": 0.25, "pool_first": 0.0, "opponents": "uniform", "scoring": "game"}
    assert not plan(sides="none").differences(plan(sides="none", **others))
    assert plan().differences(plan(**others)).keys() == others.keys()
    assert plan(sides="none").differences(plan())["sides"][0] == "none"
    assert plan(sides="none").differences(plan(sides="none", lr=0.5))["lr"][1] == 0.5


def test_a_checkpoint_of_another_team_is_refused():
    learner = cards(pool_every=1)
    learner.update()
    snapshot = learner.capture()
    wrong = {**snapshot.arrays, "pool.weights": snapshot.arrays["pool.weights"][:, 1:]}
    with pytest.raises(StateError, match="past selves have no weights"):
        cards(pool_every=1).restore(replace(snapshot, arrays=wrong))


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("world", "settings", "scheme", "given"),
    [
        ("spread", {"continuous": True}, "mappo_pooled", {"memory": "gru"}),
        ("spread", {}, "counterfactual", {"critic": "central"}),
        ("speaker_listener", {}, "happo", {"parameters": "separate", "update": "sequential"}),
    ],
)
def test_every_kind_of_team_plays_its_past_selves(world, settings, scheme, given):
    sides = {"spread": "agent_0/agent_1+agent_2", "speaker_listener": "agents"}[world]
    settings_of = small(copies=4, steps=26, pool_every=1, sides=sides, diagnose_every=0, **given)
    what = TrainPlan(world, scheme, 0, 4 * 26 * 3, None, settings, settings_of, episodes=2)
    trained = train_to_end(what)
    assert [row.metrics["opponents"] > 0 for row in trained.rows] == [True, True, True]
    assert len(trained.returns) == 2
    assert set(trained.returns) <= {0, 0.5, 1}
    assert trained.by_agent.shape == (2, len(trained.agents))


def test_past_selves_count_in_the_memory_that_a_training_needs():
    world = HigherCardWins(copies=1)
    needs = [
        memory_need(world, settings, Crediting.of("none", world, settings)).networks
        for settings in (cards(pool_size=2).settings, cards(pool_size=102).settings)
    ]
    one = 4 * sum(x.numel() for x in cards().team.actors.parameters())
    assert needs[1] - needs[0] == 100 * one


def test_action_values_and_points_are_not_compared():
    plan = Plan("repeated_game", ("mappo_pooled", "vdn"), settings={"game": "matching_pennies"})
    with pytest.raises(SettingError, match="sides=none"):
        SequentialComparison(plan)


def test_tic_tac_toe_has_the_ceilings_that_the_docs_state():
    solved = bench_module("tictactoe")
    # random moves of both: the known 0.585 and 0.288 of all games
    assert [round(solved.against_random(seat, 0.0), 4) for seat in (1, 2)] == [0.9948, 0.9386]
    assert [round(solved.against_random(seat, 0.5), 4) for seat in (1, 2)] == [0.9974, 0.9624]
    assert [solved.against_random(seat, 1.0) for seat in (1, 2)] == [1, 1]  # nobody has to lose
    assert [round(solved.against_random(seat, 0.0, "any"), 4) for seat in (1, 2)] == [
        0.9678,
        0.7775,
    ]
    assert solved.game_value(solved.EMPTY, 1) == 0


@pytest.mark.parametrize("share", ["0", "1"])
def test_every_decision_of_a_game_is_paid_what_the_game_was_worth_to_the_player(share):
    """Without discount and critic, the advantage of each decision is the outcome of its game: also
    that of the loser, who does not move at its end."""
    pytest.importorskip(
        "pettingzoo.classic.tictactoe.tictactoe", reason="tictactoe needs pettingzoo"
    )
    given = {"gamma": "1", "evaluate_every": "0", "pool_share": share, "copies": "8"}
    learner = (
        plan_of("pettingzoo.classic.tictactoe.tictactoe:env", budget=100, given=given)
        .trainer()
        .learner
    )
    batch = learner.collector.play(learner.team)
    decided, (t, e) = batch.decided, batch.ended.shape
    paid, after = rewards_by_decision(
        batch.reward[..., None], batch.active, batch.terminated, batch.ended, 1.0
    )
    nothing = np.zeros((2, t + 1, e, 1))
    advantage = generalized_advantages(
        paid, nothing, nothing[:, 1:], after, batch.active, 1.0, 1.0
    )[..., 0]
    outcomes = []
    for copy in range(e):
        begin = 0
        for end in np.flatnonzero(batch.ended[:, copy]):
            game = slice(begin, end + 1)
            outcome = batch.own[:, game, copy].sum(axis=1)
            acted = batch.active[:, game, copy]
            assert (advantage[:, game, copy] == np.where(acted, outcome[:, None], 0)).all()
            outcomes.append(tuple(outcome))
            begin = end + 1
    assert {(1, -1), (-1, 1)} <= set(outcomes)
    acting = decided.sum(axis=0)
    assert (acting == 1).all() if share == "0" else 0.3 < acting.mean() < 0.7
    # each sees its own pieces first, as many as it has laid
    for agent, step, copy in np.argwhere(batch.active[:, :t]):
        board = batch.seen[agent, step, copy].reshape(9, 2)
        assert board.sum() == batch.clock[step, copy]
        assert board[:, 0].sum() == batch.clock[step, copy] // 2
        assert (batch.legal[agent, step, copy] == (board.sum(axis=1) == 0)).all()
