"""Teams of small networks in sequential environments, trained by PPO. Start in `learner`."""
