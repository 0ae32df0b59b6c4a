"""What LeetCode gives a program, as LeetCodeDataset's prompts do: for rows that come without theirs."""

HELPERS = {"ListNode", "TreeNode", "list_node", "tree_node", "is_same_list", "is_same_tree", "inf"}
IMPORTS = """
import collections
import datetime
import functools
import itertools
import heapq
import bisect
import math
import random
import re
import string
import sys

from typing import *
from functools import *
from collections import *
from itertools import *
from heapq import *
from bisect import *
from string import *
from operator import *
from math import *
from builtins import abs, pow
"""
PRELUDE = f"""{IMPORTS}
inf = float("inf")


class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next


def list_node(values):
    head = last = ListNode()
    for value in values or []:
        last.next = ListNode(value)
        last = last.next
    return head.next


def is_same_list(p1, p2):
    while p1 and p2 and p1.val == p2.val:
        p1, p2 = p1.next, p2.next
    return p1 is None and p2 is None


class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val = val
        self.left = left
        self.right = right


def tree_node(values):
    if not values:
        return None
    nodes = [None if value is None else TreeNode(value) for value in values]
    rest = iter(nodes[1:])
    for node in nodes:
        if node is not None:
            node.left = next(rest, None)
            node.right = next(rest, None)
    return nodes[0]


def is_same_tree(p, q):
    pairs = [(p, q)]
    while pairs:
        p, q = pairs.pop()
        if p is None and q is None:
            continue
        if p is None or q is None or p.val != q.val:
            return False
        pairs += [(p.left, q.left), (p.right, q.right)]
    return True
"""
