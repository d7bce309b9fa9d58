import os

from dev.benchmarks import processes


def test_cpu_time_is_read_after_the_programs_name() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"17 (a (b) c) S 1 17 17 0 -1 4194560 1 2 3 4 {2 * ticks} {ticks} 0 0 20 0 1 0 5 6 7"
    assert processes.parse_cpu(stat) == 3


def test_memory_is_in_mib() -> None:
    status = "Name:\tpython\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n"
    assert processes.parse_memory(status) == processes.Memory(now=100, peak=200)


def test_this_process_can_be_measured() -> None:
    assert processes.cpu_seconds(os.getpid()) > 0
    assert processes.memory(os.getpid()).peak >= processes.memory(os.getpid()).now * 0.9
