"""The zoo's dictionaries."""

from .models import model_dicts as model_dicts
