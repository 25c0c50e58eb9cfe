"""The theory: known numbers, identities between the formulas, and the definitions worked out the long way.

Nothing here is simulated, so a tolerance is either half of the last printed digit or the rounding of floats.
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.analytic import (
    ClosedNetwork,
    closed_network,
    erlang_b,
    mg1,
    mm1,
    mm1_deadline,
    mmc,
    shortest_job_first,
    supermarket,
)

_EXACT = 1e-12  # a few thousand roundings of 1e-16
_PRINTED = 5e-5  # four decimals

_rho = st.integers(0, 999).map(lambda thousandths: thousandths / 1000)
_seconds = st.floats(1e-3, 1e3)
_servers = st.integers(1, 64)
_rising = st.tuples(st.integers(1, 999), st.integers(1, 999)).filter(lambda pair: pair[0] < pair[1])


def _near(value: float, tolerance: float = _EXACT) -> object:
    return pytest.approx(value, rel=tolerance, abs=0.0)


# -- one line ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "rho", "wait"),
    [
        (4, 0.8, 0.7455),
        (4, 0.9, 1.9694),
        (8, 0.5, 0.0148),
        (8, 0.7, 0.1128),
        (8, 0.8, 0.2860),
        (8, 0.9, 0.8769),
        (8, 0.95, 2.1104),
        (16, 0.9, 0.3696),
    ],
)
def test_erlang_c_gives_the_known_mean_waits(servers, rho, wait):
    assert mmc(servers, rho).wait_s == pytest.approx(wait, abs=_PRINTED)


def test_mm1_gives_the_textbook_numbers():
    queue = mm1(0.8, 2.0)
    found = (queue.wait_s, queue.sojourn_s, queue.waiting, queue.number, queue.arrival_rate, queue.wait_probability)
    assert found == pytest.approx((8.0, 10.0, 3.2, 4.0, 0.4, 0.8), rel=_EXACT)
    assert queue.wait_quantile_s(0.9) == _near(10.0 * math.log(8.0))


@given(rho=_rho, service_s=_seconds)
def test_formulas_agree_where_more_than_one_holds(rho, service_s):
    """With one server; with exponential service, which is as varied; with constant service, which halves the wait."""
    one, same = mmc(1, rho, service_s), mm1(rho, service_s)
    assert one.wait_probability == _near(same.wait_probability)
    assert one.wait_s == _near(same.wait_s)
    assert mg1(rho, service_s, scv=1.0).wait_s == _near(same.wait_s)
    assert mg1(rho, service_s, scv=0.0).wait_s == _near(same.wait_s / 2)


def test_mg1_is_the_wait_of_the_second_moment():
    """Service of 1 s or 5 s, one as often as the other: lambda E[S^2] / (2 (1 - rho)), E[S^2] = 13."""
    queue = mg1(0.6, 3.0, scv=4.0 / 9.0)
    assert queue.wait_s == _near(0.2 * 13.0 / (2 * 0.4))


@given(servers=_servers, rho=_rho, service_s=_seconds)
def test_erlang_c_is_the_sum_over_the_states(servers, rho, service_s):
    """With exact fractions: the states with every server busy, over all states."""
    busy = Fraction(rho)
    offered, term, idle = busy * servers, Fraction(1), Fraction(0)
    for count in range(servers):
        idle += term
        term *= offered / (count + 1)
    full = term / (1 - busy)
    queue = mmc(servers, rho, service_s)
    assert queue.wait_probability == _near(float(full / (idle + full)))
    assert queue.wait_s == _near(float(full / (idle + full) / (servers * (1 - busy))) * service_s)


@pytest.mark.parametrize(("servers", "rho"), [(1000, 0.95), (1000, 0.99), (10_000, 0.97), (10_000, 0.999)])
def test_erlang_c_is_right_for_thousands_of_servers(servers, rho):
    """Against a sum of logarithms; lgamma(10 000) = 82 000 has an absolute error of some 1e-11."""
    offered = servers * rho
    logs = [count * math.log(offered) - math.lgamma(count + 1) for count in range(servers)]
    full = servers * math.log(offered) - math.lgamma(servers + 1) - math.log1p(-rho)
    idle = math.fsum(math.exp(log - full) for log in logs)
    assert mmc(servers, rho).wait_probability == _near(1.0 / (1.0 + idle), 1e-9)


def test_a_wait_too_rare_for_a_float_is_none():
    queue = mmc(10_000, 0.5)
    assert (queue.wait_probability, queue.wait_s, queue.wait_quantile_s(0.999), queue.wait_cdf(0.0)) == (0, 0, 0, 1)
    assert queue.number == _near(5000.0)


@pytest.mark.parametrize("queue", [mm1(0.0), mmc(3, 0.0), mg1(0.0, scv=2.0)])
def test_an_empty_queue_waits_for_nothing(queue):
    assert (queue.wait_s, queue.sojourn_s, queue.number) == (0.0, 1.0, 0.0)


@given(servers=_servers, rho=_rho, service_s=_seconds, share=st.floats(0.0, 0.999999))
def test_a_quantile_inverts_the_distribution(servers, rho, service_s, share):
    queue = mmc(servers, rho, service_s)
    quantile_s = queue.wait_quantile_s(share)
    if share > queue.wait_cdf(0.0):
        assert queue.wait_cdf(quantile_s) == pytest.approx(share, abs=_EXACT)
    else:  # up to rounding: the two sides of the comparison are worked out differently
        assert quantile_s == pytest.approx(0.0, abs=_EXACT * queue.delay_s)


@pytest.mark.parametrize("queue", [mm1(0.7, 3.0), mmc(4, 0.9), mmc(16, 0.95, 0.05)])
def test_the_mean_wait_is_the_area_above_the_distribution(queue):
    """By Simpson's rule over 40 mean delays: error (1/50)^4 / 180 x the area = 1e-9, and a tail of e^-40."""
    step_s = queue.delay_s / 50
    heights = [1.0 - queue.wait_cdf(index * step_s) for index in range(2001)]
    area = step_s / 3 * (heights[0] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2]) + heights[-1])
    assert area == _near(queue.wait_s, 1e-8)


@given(servers=_servers, rhos=_rising)
def test_the_busier_a_queue_the_longer_the_wait(servers, rhos):
    calm, busy = (mmc(servers, thousandths / 1000) for thousandths in rhos)
    assert calm.wait_s < busy.wait_s
    assert calm.wait_probability < busy.wait_probability
    assert calm.wait_quantile_s(0.99) <= busy.wait_quantile_s(0.99)


@given(rhos=_rising, scv=st.floats(0.0, 100.0), more=st.floats(0.01, 100.0))
def test_mg1_waits_longer_if_busier_or_more_varied(rhos, scv, more):
    calm, busy = (thousandths / 1000 for thousandths in rhos)
    assert mg1(calm, scv=scv).wait_s < mg1(busy, scv=scv).wait_s < mg1(busy, scv=scv + more).wait_s


@given(servers=_servers, rho=st.integers(1, 999))
def test_more_servers_on_one_line_wait_less(servers, rho):
    assert mmc(servers + 1, rho / 1000).wait_s < mmc(servers, rho / 1000).wait_s


# -- the supermarket --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "rho", "sojourn"),
    [
        (2, 0.5, 1.2657),
        (2, 0.7, 1.6145),
        (2, 0.8, 1.9474),
        (2, 0.9, 2.6141),
        (2, 0.95, 3.3830),
        (2, 0.99, 5.4320),
        (3, 0.9, 2.0279),
    ],
)
def test_the_supermarket_gives_the_known_sojourns(choices, rho, sojourn):
    assert supermarket(choices, rho).sojourn_s == pytest.approx(sojourn, abs=_PRINTED)


@given(rho=_rho, service_s=_seconds, number=st.integers(0, 50))
def test_one_choice_is_mm1(rho, service_s, number):
    market, queue = supermarket(1, rho, service_s), mm1(rho, service_s)
    assert market.sojourn_s == _near(queue.sojourn_s)
    assert market.number == _near(queue.number)
    assert market.tail(number) == _near(rho**number)


def test_one_choice_is_exact_where_its_sum_would_be_long():
    assert supermarket(1, 0.999999).sojourn_s == _near(1.0 / (1.0 - 0.999999))


@given(choices=st.integers(2, 9), rho=_rho, number=st.integers(0, 12))
def test_the_tail_is_the_power_of_its_definition(choices, rho, number):
    exponent = sum(choices**power for power in range(number))  # (d^i - 1)/(d - 1) in whole numbers
    assert supermarket(choices, rho).tail(number) == _near(rho**exponent)


@given(choices=st.integers(2, 9), rho=_rho, service_s=_seconds)
def test_the_tails_add_up_to_the_number_at_a_server(choices, rho, service_s):
    """Little's law between two formulas; at rho <= 0.999 and d >= 2 the 30th tail is 0 to any precision."""
    market = supermarket(choices, rho, service_s)
    assert market.number == _near(math.fsum(market.tail(i) for i in range(1, 31)))


def test_a_tail_beyond_all_floats_is_zero():
    assert supermarket(2, 0.999).tail(5000) == 0.0
    assert supermarket(2, 0.0).tail(0) == 1.0


@given(choices=st.integers(1, 9), rhos=_rising)
def test_the_supermarket_is_slower_if_busier(choices, rhos):
    """Not strictly: with nine choices at 0.001 the wait is lost in the rounding of the sojourn."""
    calm, busy = (supermarket(choices, thousandths / 1000).sojourn_s for thousandths in rhos)
    assert 1.0 <= calm <= busy
    assert supermarket(choices + 1, rhos[1] / 1000).sojourn_s <= busy


@given(rhos=_rising)
def test_two_choices_wait_less_than_one_and_longer_if_busier(rhos):
    calm, busy = (supermarket(2, thousandths / 1000) for thousandths in rhos)
    assert 0.0 < calm.wait_s < busy.wait_s < mm1(rhos[1] / 1000).wait_s


# -- the closed network -----------------------------------------------------------------------------


def _states(customers: int, places: int) -> Iterator[tuple[int, ...]]:
    if places == 1:
        yield (customers,)
        return
    for here in range(customers + 1):
        yield from ((here, *rest) for rest in _states(customers - here, places - 1))


def _enumerated(
    population: int, service_s: Sequence[float], chances: Sequence[float], think_s: float
) -> tuple[list[float], list[float]]:
    """Return the mean number and the utilisation of each station: the product form over every state."""
    total, numbers, busy = 0.0, [0.0] * len(service_s), [0.0] * len(service_s)
    for thinking, *counts in _states(population, len(service_s) + 1):
        weight = think_s**thinking / math.factorial(thinking)
        for count, s, p in zip(counts, service_s, chances, strict=True):
            weight *= (s * p) ** count
        total += weight
        for index, count in enumerate(counts):
            numbers[index] += weight * count
            busy[index] += weight * (count > 0)
    return [number / total for number in numbers], [share / total for share in busy]


_shops = st.integers(1, 4).flatmap(
    lambda stations: st.tuples(
        st.lists(st.floats(0.01, 100.0), min_size=stations, max_size=stations),
        st.lists(st.integers(1, 20), min_size=stations, max_size=stations).map(
            lambda shares: [share / sum(shares) for share in shares]
        ),
    )
)


@settings(deadline=None)
@given(population=st.integers(1, 6), shop=_shops, think_s=st.one_of(st.just(0.0), st.floats(0.01, 100.0)))
def test_mean_value_analysis_is_the_sum_over_the_product_form(population, shop, think_s):
    service_s, chances = shop
    network = closed_network(population, service_s, probabilities=chances, think_s=think_s)
    numbers, busy = _enumerated(population, service_s, chances, think_s)
    assert [station.number for station in network.stations] == pytest.approx(numbers, rel=1e-10)
    assert [station.utilisation for station in network.stations] == pytest.approx(busy, rel=1e-10)
    _assert_little(network)


def _assert_little(network: ClosedNetwork) -> None:
    """Everybody is somewhere, and number = throughput x time, at a station and in all."""
    thinking = network.throughput * network.think_s
    assert math.fsum(station.number for station in network.stations) + thinking == _near(network.population, 1e-10)
    assert network.throughput * (network.sojourn_s + network.think_s) == _near(network.population, 1e-10)
    assert math.fsum(station.throughput for station in network.stations) == _near(network.throughput, 1e-10)
    for station in network.stations:
        assert station.number == _near(station.throughput * station.sojourn_s, 1e-10)
        assert 0.0 <= station.utilisation <= 1.0 + 1e-10


@given(shop=_shops, think_s=st.floats(0.0, 100.0))
def test_one_customer_alone_never_waits(shop, think_s):
    service_s, chances = shop
    network = closed_network(1, service_s, probabilities=chances, think_s=think_s)
    visit_s = sum(s * p for s, p in zip(service_s, chances, strict=True))
    assert network.throughput == _near(1.0 / (think_s + visit_s))
    assert [station.sojourn_s for station in network.stations] == pytest.approx(service_s, rel=_EXACT)


@pytest.mark.parametrize("population", [1, 2, 7, 300])
@pytest.mark.parametrize("size", [1, 2, 8, 300])
def test_equal_stations_have_a_closed_form(population, size):
    """Each works W/(N+W-1) of the time: the states with someone at a station are as many as all for W - 1."""
    network = closed_network(population, [0.25] * size)
    share = population / (size + population - 1)
    for station in network.stations:
        assert station.utilisation == _near(share, 1e-10)
        assert station.throughput == _near(share / 0.25, 1e-10)
        assert station.sojourn_s == _near(0.25 * (1 + (population - 1) / size), 1e-10)


def test_hundreds_of_unequal_stations_agree_with_the_convolution():
    """Buzen's convolution in whole numbers, which neither round nor overflow; demands are 1 to 9."""
    population, demands = 200, [1 + index % 9 for index in range(150)]
    constants = [1] + [0] * population
    for demand in demands:
        for customers in range(1, population + 1):
            constants[customers] += demand * constants[customers - 1]
    throughput = Fraction(constants[-2], constants[-1]) * len(demands)
    network = closed_network(population, [float(demand) for demand in demands])
    assert network.throughput == _near(float(throughput), 1e-10)
    _assert_little(network)


def test_a_crowd_is_as_fast_as_the_slowest_station_allows():
    """The bottleneck's demand is twice the others', so 2^-300 of its time is idle."""
    network = closed_network(300, [1.0, 2.0, 1.0], think_s=5.0)
    assert [station.utilisation for station in network.stations] == pytest.approx([0.5, 1.0, 0.5], rel=1e-10)
    assert network.throughput == _near(1.5, 1e-10)


def test_a_crowd_that_thinks_long_makes_an_open_queue():
    """As W and the think time grow alike, arrivals become Poisson; the difference is of the order of 1/W."""
    network = closed_network(20_000, [1.0], think_s=20_000 / 0.5 - 2.0)
    assert network.sojourn_s == _near(mm1(0.5).sojourn_s, 1e-3)


def test_a_station_that_nobody_chooses_is_empty():
    network = closed_network(5, [1.0, 3.0], probabilities=[1.0, 0.0])
    assert (network.stations[1].number, network.stations[1].utilisation, network.stations[1].sojourn_s) == (0, 0, 3)
    assert network.throughput == _near(1.0)


# -- queues with something more ---------------------------------------------------------------------


@given(rho=_rho)
def test_callers_that_leave_at_once_make_a_loss_system(rho):
    assert mm1_deadline(max(rho, 0.01), 1e-9).abandons == _near(erlang_b(1, max(rho, 0.01)), 1e-6)


@given(rho=_rho.filter(bool), service_s=_seconds)
def test_jobs_of_one_length_are_a_plain_queue(rho, service_s):
    equal = shortest_job_first(rho, [service_s] * 3)
    assert equal.wait_s == _near(mg1(rho, service_s, scv=0.0).wait_s, 1e-9)


def test_the_shortest_job_first_waits_less_than_in_the_order_of_arrival():
    works = [0.5, 1.0, 4.0]
    scv = sum(w**2 for w in works) / 3 / (sum(works) / 3) ** 2 - 1
    assert shortest_job_first(0.8, works).wait_s < 0.7 * mg1(0.8, sum(works) / 3, scv=scv).wait_s
