"""What every training shares: one loop, its options, and what it sees."""

from locstyle.engine.training.loop import Keeper as Keeper
from locstyle.engine.training.loop import Training as Training
from locstyle.engine.training.loop import learning_rate as learning_rate
from locstyle.engine.training.loop import noise_loss as noise_loss
from locstyle.engine.training.loop import train as train
