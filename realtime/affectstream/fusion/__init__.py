"""The fusion node: messages in, a model's estimates and their revisions out.

Others use ``node`` (the machine), ``journaled_node`` (one whose dialogues outlive it),
``pretrained`` (a checkpoint as the core wants a model) and ``pipeline`` (a recording through the
whole system in one process).
"""
