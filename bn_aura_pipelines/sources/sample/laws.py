"""The constants that the sample clinic is drawn from. They are stored in `aura_truth.laws` beside what they made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Laws:
    """Everything that is a number and no list. Rates are per day, money is THB, shares are of one."""

    # The window: history before the moment, and what is simulated after it for the truth alone.
    history_days: int = 913
    ahead_days: int = 120
    growth: float = 0.4

    # Satisfaction: an AR(1) from completed visit to completed visit, stationary N(0, 1).
    satisfaction_memory: float = 0.8
    shock_waiting: float = 0.4
    shock_skill: float = 0.5
    shock_outcome: float = 0.768

    # Visits: a Poisson process of bookings that a customer may leave after any completed visit.
    visit_rate_shape: float = 1.4
    visit_rate_days: float = 75.0
    visit_rate_satisfaction: float = 0.25
    loss_intercept: float = -2.0
    loss_satisfaction: float = -0.9
    loss_noise: float = 0.5

    # Season, as factors of the visit rate; the mean over the window is one.
    season_songkran: float = 0.35
    season_before_songkran: float = 1.25
    season_november_sale: float = 1.5
    season_payday: float = 1.2
    season_weekend: float = 1.3

    # Bookings: lead time, deposits, no-shows, cancellations.
    lead_days_median: float = 4.0
    lead_days_sigma: float = 1.0
    lead_days_most: float = 60.0
    deposit_share: float = 0.3
    no_show_intercept: float = -2.6
    no_show_lead: float = 0.5
    no_show_deposit: float = -1.2
    no_show_person: float = 0.8
    cancel_rate: float = 0.018

    # What is chosen and what it costs.
    budget_median_thb: float = 6000.0
    budget_sigma: float = 0.7
    taste_person: float = 0.4
    due_late: float = 1.6
    due_early: float = -2.5
    price_aversion: float = 1.2
    second_treatment_share: float = 0.18
    consultation_share: float = 0.35
    follow_up_share: float = 0.08
    scan_share: float = 0.04
    package_share: float = 0.12
    package_paid: int = 5
    package_free: int = 1
    package_use_share: float = 0.7

    # Leads: hazards of each step, from new to contacted, qualified, proposal sent, negotiation and won.
    step_intercept: tuple[float, ...] = (2.0, 1.0, 1.1, 1.3, 0.9)
    step_quality: tuple[float, ...] = (0.3, 0.5, 0.5, 0.5, 0.6)
    step_speed: tuple[float, ...] = (0.5, 0.35, 0.25, 0.15, 0.15)
    step_days: tuple[float, ...] = (0.15, 2.0, 3.0, 4.0, 5.0)
    step_days_sigma: float = 0.8
    lost_days: float = 9.0
    response_hours_sigma: float = 1.2
    referral_rate: float = 0.08
    referral_satisfaction: float = 0.5
    referral_quality: float = 0.6
    referral_days: float = 45.0
    temperature_share: float = 0.06
    late_note_share_won: float = 0.6
    late_note_share_lost: float = 0.5

    # Conversations.
    talk_share_visit: float = 0.30
    talk_share_lead: float = 0.35
    polarity_satisfaction: float = 0.7
    polarity_noise: float = 0.7
    polarity_threshold: float = 0.5
    language_shares: tuple[float, ...] = (0.8, 0.15, 0.05)
    test_template_share: float = 0.25
    analysed_share: float = 0.6
    label_noise: float = 0.08
    typo_share: float = 0.08
    emoji_share: float = 0.25

    # Messages sent: the effect of one on a due repeat, and the share of customers who never get one.
    holdout_share: float = 0.1
    message_effect: float = 0.06
    message_effect_centre: float = 0.0

    # Consent.
    preferences_share: float = 0.9
    opt_in_share: float = 0.6
    do_not_contact_share: float = 0.02
    unsubscribed_share: float = 0.03

    # Dirt, as in production.
    growing_share: float = 0.08
    malformed_share: float = 0.03
    conversation_without_clinic: float = 0.02
    lead_without_clinic: float = 0.015
    vanished_treatment_share: float = 0.01
    duplicate_email_share: float = 0.01
    cancelled_price_share: float = 0.6


LAWS = Laws()
