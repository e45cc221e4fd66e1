"""Policies: what is watched for in territories, told once while it lasts, tried on history."""

from app.policies.service import evaluate_layer

__all__ = ["evaluate_layer"]
