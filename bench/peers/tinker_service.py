"""A stand-in for Tinker's service: its clients' interface, with the small Qwen2 on this CPU.

`LocalService` takes the place of `tinker.ServiceClient` in tinker-cookbook's own training loop. It
trains every parameter (Tinker's service trains a LoRA), and knows the importance-sampling loss and
Adam alone. Datums, futures and responses are the types of the package tinker.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import tinker
import torch
from small_qwen2 import small_model


class Done:
    """A future whose result is there, to be awaited or asked."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Generator[None, None, Any]:
        yield from ()
        return self.value

    def result(self, timeout: float | None = None) -> Any:
        return self.value


class LocalService:
    """The clients of one model; saved states are in memory, for all services of the process."""

    seed = 0
    states: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, **_: Any) -> None:
        """Takes the arguments of `tinker.ServiceClient`, and reads none."""

    def __enter__(self) -> LocalService:
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves nothing to close."""

    def create_lora_training_client(self, *_: Any, **__: Any) -> Done:
        return Done(LocalTraining(self.seed))

    def create_training_client_from_state_with_optimizer(self, path: str, **_: Any) -> Done:
        client = LocalTraining(self.seed)
        model, optimizer = self.states[path]
        client.model.load_state_dict(model)
        client.optimizer.load_state_dict(optimizer)
        return Done(client)

    def create_rest_client(self) -> Any:
        def run_of(path: str) -> Done:
            return Done(SimpleNamespace(user_metadata=None))

        return SimpleNamespace(get_training_run_by_tinker_path=run_of)


class LocalTraining:
    """A training client."""

    def __init__(self, seed: int) -> None:
        self.model = small_model(seed)
        torch.manual_seed(seed)
        self.optimizer = torch.optim.Adam(self.model.parameters(), eps=1e-5)

    def forward_backward(
        self, data: list[tinker.Datum], loss_fn: str, loss_fn_config: Any = None
    ) -> Done:
        if loss_fn != "importance_sampling":
            raise ValueError(f"got loss {loss_fn}; wanted importance_sampling")
        length = max(one.model_input.length for one in data)
        inputs = torch.zeros(len(data), length, dtype=torch.long)
        mask = torch.zeros(len(data), length, dtype=torch.long)
        columns = {name: torch.zeros(len(data), length)
                   for name in ("target_tokens", "logprobs", "advantages")}  # fmt: skip
        for i, one in enumerate(data):
            inputs[i, : one.model_input.length] = torch.tensor(one.model_input.to_ints())
            mask[i, : one.model_input.length] = 1
            for name, column in columns.items():
                values = one.loss_fn_inputs[name].to_torch()
                column[i, : len(values)] = values
        logits = self.model(input_ids=inputs, attention_mask=mask).logits.log_softmax(-1)
        now = logits.gather(-1, columns["target_tokens"].long().unsqueeze(-1)).squeeze(-1)
        loss = -((now - columns["logprobs"]).exp() * columns["advantages"] * mask).sum()
        loss.backward()
        rows = [now[i, : one.model_input.length].detach() for i, one in enumerate(data)]
        return Done(
            tinker.ForwardBackwardOutput(
                loss_fn_output_type="scalar",
                loss_fn_outputs=[{"logprobs": tinker.TensorData.from_torch(row)} for row in rows],
                metrics={"loss:sum": float(loss.detach())},
            )
        )

    def optim_step(self, adam: tinker.AdamParams) -> Done:
        for group in self.optimizer.param_groups:
            group["lr"], group["betas"] = adam.learning_rate, (adam.beta1, adam.beta2)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return Done(tinker.OptimStepResponse())

    def save_state(self, name: str, **_: Any) -> Done:
        path = f"tinker://local/weights/{name}"
        state = self.model.state_dict(), self.optimizer.state_dict()
        LocalService.states[path] = copy.deepcopy(state)
        return Done(SimpleNamespace(path=path))

    def save_weights_for_sampler(self, name: str, **_: Any) -> Done:
        return Done(SimpleNamespace(path=f"tinker://local/sampler_weights/{name}"))

    def create_sampling_client(self, path: str, **_: Any) -> Done:
        return Done(LocalSampling(self.model))

    def save_weights_and_get_sampling_client(self, **_: Any) -> Done:
        return Done(LocalSampling(self.model))


class LocalSampling:
    """A sampling client of the model as it is: training and sampling take turns.

    Requests that come together are answered side by side; their prompts have one length.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.waiting = model, list[tuple[list[int], int, asyncio.Future[Any]]]()

    async def sample(
        self, prompt: tinker.ModelInput, num_samples: int, sampling_params: tinker.SamplingParams
    ) -> Any:
        loop = asyncio.get_running_loop()
        if not self.waiting:
            loop.call_later(0.005, self.answer)
        future = loop.create_future()
        self.waiting.append((prompt.to_ints(), int(sampling_params.max_tokens or 1), future))
        return await future

    def answer(self) -> None:
        """Answers all that wait."""
        waiting, self.waiting = self.waiting, []
        prompts, tokens, futures = zip(*waiting, strict=True)
        given = torch.tensor(prompts)
        out = self.model.generate(
            given, attention_mask=torch.ones_like(given), do_sample=True, temperature=1.0, top_k=0,
            top_p=1.0, max_new_tokens=max(tokens), return_dict_in_generate=True, output_scores=True,
        )  # fmt: skip
        answers = out.sequences[:, given.shape[1] :]
        logs = torch.stack(out.scores, 1).log_softmax(-1).gather(-1, answers.unsqueeze(-1))
        for i, (answer, log, future) in enumerate(
            zip(answers, logs.squeeze(-1), futures, strict=True)
        ):
            sequence = tinker.SampledSequence(
                stop_reason="length",
                sequence_id=str(i),
                tokens_np=answer.numpy().astype("int32"),
                logprobs_np=log.numpy(),
            )
            future.set_result(SimpleNamespace(sequences=[sequence], prompt_cache_hit_tokens=0))
