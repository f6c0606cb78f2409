"""PPO in the manner of CleanRL: one file, read from top to bottom, over a vector environment.

It knows nothing of faults. What it has to do with them is what it does with every truncation: the
value of the last observation stands for the rest, and the step that only resets is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical


@dataclass(frozen=True, kw_only=True)
class Args:
    """What there is to set."""

    seed: int = 1
    total_steps: int = 4096
    num_steps: int = 64
    learning_rate: float = 2.5e-3
    gamma: float = 0.98
    gae_lambda: float = 0.95
    update_epochs: int = 4
    num_minibatches: int = 4
    clip_coef: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5


class Agent(nn.Module):
    """An actor and a critic."""

    def __init__(self, envs: Any) -> None:
        super().__init__()
        inputs = int(np.prod(envs.single_observation_space.shape))
        self.critic = _network(inputs, 1, 1.0)
        self.actor = _network(inputs, int(envs.single_action_space.n), 0.01)

    def act(self, obs: torch.Tensor, action: torch.Tensor | None = None) -> tuple[Any, ...]:
        choice = Categorical(logits=self.actor(obs))
        action = choice.sample() if action is None else action
        return action, choice.log_prob(action), choice.entropy(), self.critic(obs).flatten()


def _network(inputs: int, outputs: int, gain: float) -> nn.Sequential:
    layers = [nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh()]
    network = nn.Sequential(*layers, nn.Linear(64, outputs))
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, gain if layer is network[-1] else 2**0.5)
            nn.init.zeros_(layer.bias)
    return network


def train(envs: Any, args: Args) -> Agent:
    """Train on a vector environment that resets in the next step."""
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    agent = Agent(envs)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    shape = args.num_steps, envs.num_envs
    obs = torch.zeros(*shape, *envs.single_observation_space.shape)
    actions = torch.zeros(shape, dtype=torch.int64)
    logprobs, rewards, values, terminated, ended, counts = (torch.zeros(shape) for _ in range(6))

    next_obs = torch.as_tensor(envs.reset(seed=args.seed)[0])
    is_reset = torch.zeros(envs.num_envs)
    for _ in range(args.total_steps // (args.num_steps * envs.num_envs)):
        for step in range(args.num_steps):
            obs[step], counts[step] = next_obs, 1 - is_reset
            with torch.no_grad():
                actions[step], logprobs[step], _, values[step] = agent.act(next_obs)
            seen, reward, terminations, truncations, _ = envs.step(actions[step].numpy())
            next_obs, rewards[step] = torch.as_tensor(seen), torch.as_tensor(reward)
            terminated[step] = torch.as_tensor(terminations)
            ended[step] = is_reset = torch.as_tensor(terminations | truncations).float()

        with torch.no_grad():
            following = torch.cat([values[1:], agent.critic(next_obs).reshape(1, -1)])
        advantages, last = torch.zeros(shape), torch.zeros(envs.num_envs)
        for step in reversed(range(args.num_steps)):
            goal = rewards[step] + args.gamma * following[step] * (1 - terminated[step])
            last = goal - values[step] + args.gamma * args.gae_lambda * (1 - ended[step]) * last
            advantages[step] = last
        _update(agent, optimizer, args, rng, obs, actions, logprobs, advantages, values, counts)
    return agent


def _update(  # noqa: PLR0913, PLR0917 - the names of CleanRL's script
    agent: Agent,
    optimizer: torch.optim.Optimizer,
    args: Args,
    rng: np.random.Generator,
    obs: torch.Tensor,
    actions: torch.Tensor,
    logprobs: torch.Tensor,
    advantages: torch.Tensor,
    values: torch.Tensor,
    counts: torch.Tensor,
) -> None:
    valid = counts.flatten().nonzero().flatten().numpy()
    returns = (advantages + values).flatten()
    flat = [obs.flatten(0, 1), actions.flatten(), logprobs.flatten(), advantages.flatten(), returns]
    for _ in range(args.update_epochs):
        for numbers in np.array_split(rng.permutation(valid), args.num_minibatches):
            part_obs, part_actions, before, gains, targets = (each[numbers] for each in flat)
            _, logprob, entropy, value = agent.act(part_obs, part_actions)
            ratio = (logprob - before).exp()
            gains = (gains - gains.mean()) / (gains.std() + 1e-8)
            clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
            loss = (
                -torch.min(gains * ratio, gains * clipped).mean()
                - args.ent_coef * entropy.mean()
                + args.vf_coef * 0.5 * ((value - targets) ** 2).mean()
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
            optimizer.step()
