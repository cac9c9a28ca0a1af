"""What a peak took in a thread of its own goes back to the system."""

from __future__ import annotations

import subprocess
import sys

PEAK = """
import threading
import numpy as np
import psutil
from monitor.adapters.free_memory import give_back_memory

kept = []

def work():
    blocks = [np.ones(12_000) for _ in range(1000)]  # 96 KB each: too small for pages of their own
    kept.append(blocks[-1])  # the end of the arena stays in use, so that free() alone cannot shorten it

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
before = psutil.Process().memory_info().rss
give_back_memory()
print((before - psutil.Process().memory_info().rss) // 2**20)
"""


def test_it_goes_back():
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 50, "of some 180 MiB"
