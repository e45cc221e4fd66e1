"""Territory design on a graph: numpy in, numpy out."""

from balancing.apportionment import apportion
from balancing.assess import assess
from balancing.errors import BalancingError, InstanceError, ParameterError, VerificationError
from balancing.graph import Graph, connected_components
from balancing.instance import Instance
from balancing.move_policy import MoveLimit, MovePolicy
from balancing.move_reasons import MovedBlock, explain_moves, moved_blocks
from balancing.observer import Observer, Phase, Progress
from balancing.parameters import Objective, Parameters
from balancing.rebalance import rebalance
from balancing.rebalance_result import Option, Rebalancing
from balancing.requirements import Centre, Requirements
from balancing.result import ComponentSummary, Result, StopReason, Violation, ViolationCode
from balancing.solve import design
from balancing.verify import verify

__all__ = [
    "BalancingError",
    "Centre",
    "ComponentSummary",
    "Graph",
    "Instance",
    "InstanceError",
    "MoveLimit",
    "MovePolicy",
    "MovedBlock",
    "Objective",
    "Observer",
    "Option",
    "ParameterError",
    "Parameters",
    "Phase",
    "Progress",
    "Rebalancing",
    "Requirements",
    "Result",
    "StopReason",
    "VerificationError",
    "Violation",
    "ViolationCode",
    "apportion",
    "assess",
    "connected_components",
    "design",
    "explain_moves",
    "moved_blocks",
    "rebalance",
    "verify",
]
