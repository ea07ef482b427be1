"""The steps of each fit, without any scikit-learn: what is asked of the parties round by round, and what a party computes."""

from sandbox.learn.steps.fit import Fit
from sandbox.learn.steps.kmeans import KMeansFit, KMeansModel
from sandbox.learn.steps.linear import LinearFit, LinearModel
from sandbox.learn.steps.logistic import LogisticFit, LogisticModel
from sandbox.learn.steps.pca import PCAFit, PCAModel
from sandbox.learn.steps.scaler import ScalerFit, ScalerModel

Model = LinearModel | LogisticModel | KMeansModel | PCAModel | ScalerModel

__all__ = [
    "Fit",
    "KMeansFit",
    "KMeansModel",
    "LinearFit",
    "LinearModel",
    "LogisticFit",
    "LogisticModel",
    "Model",
    "PCAFit",
    "PCAModel",
    "ScalerFit",
    "ScalerModel",
]
