"""Who produces text: speakers, and the models behind them."""
