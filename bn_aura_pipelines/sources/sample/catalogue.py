"""What the chain offers, whom it serves and where: treatments, personas, lead sources, branches. Nothing drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Treatment:
    """One line of the catalogue; prices in THB, `clock_days` until a repeat is due."""

    name_en: str
    name_th: str
    kind: str
    category: str
    price_min: int
    price_max: int
    clock_days: int
    packaged: bool = False


TREATMENTS: tuple[Treatment, ...] = (
    Treatment("Acne Clear Facial", "ทรีตเมนต์หน้าใสลดสิว", "facial", "facial", 990, 1800, 21, True),
    Treatment("Brightening Facial", "ทรีตเมนต์ผิวกระจ่างใส", "facial", "facial", 1290, 2500, 21, True),
    Treatment("Hydra Facial", "ไฮดราเฟเชียล", "facial", "facial", 1490, 2500, 21, True),
    Treatment("Vitamin C Drip", "ดริปวิตามินซี", "drip", "skincare", 1500, 2500, 14, True),
    Treatment("Glow Drip", "ดริปผิวออร่า", "drip", "skincare", 2000, 3500, 14, True),
    Treatment("Pico Laser", "พิโคเลเซอร์", "laser", "laser", 3500, 8000, 30, True),
    Treatment("Acne Scar Laser", "เลเซอร์หลุมสิว", "laser", "laser", 3000, 7000, 30, True),
    Treatment("Melasma Laser", "เลเซอร์ฝ้า", "laser", "laser", 2500, 6000, 30, True),
    Treatment("Hair Removal Laser", "เลเซอร์กำจัดขน", "hair", "laser", 2500, 5000, 30, True),
    Treatment("Body Contour", "สลายไขมันกระชับสัดส่วน", "body", "laser", 4000, 8000, 30, True),
    Treatment("Botox Face", "โบท็อกซ์ลดริ้วรอย", "botox", "injectable", 4000, 12000, 120),
    Treatment("Botox Jaw", "โบท็อกซ์กราม", "botox", "injectable", 5000, 15000, 120),
    Treatment("Filler Cheek", "ฟิลเลอร์ร่องแก้ม", "filler", "injectable", 9000, 25000, 270),
    Treatment("Filler Lip", "ฟิลเลอร์ปาก", "filler", "injectable", 9000, 18000, 270),
    Treatment("HIFU Full Face", "ไฮฟู่ยกกระชับหน้า", "hifu", "laser", 15000, 40000, 365),
    Treatment("HIFU Under Eye", "ไฮฟู่ใต้ตา", "hifu", "laser", 12000, 20000, 365),
)

PERSONAS: tuple[str, ...] = ("acne", "pigment", "anti_ageing", "lifting", "body_hair", "drips")
PERSONA_SHARES: tuple[float, ...] = (0.24, 0.22, 0.18, 0.12, 0.12, 0.12)
PERSONA_AGE: tuple[float, ...] = (25, 34, 42, 47, 29, 31)
PERSONA_BUDGET: tuple[float, ...] = (-0.5, 0.0, 0.4, 0.6, -0.1, -0.1)  # added to the logarithm of the budget
PERSONA_CONCERNS: tuple[tuple[str, ...], ...] = (
    ("acne", "pores"),
    ("melasma", "dark_spots"),
    ("wrinkles", "dull_skin"),
    ("sagging", "wrinkles"),
    ("unwanted_hair", "body_shape"),
    ("dull_skin", "fatigue"),
)

# Log-weights of the kinds of treatment, by persona; what is not named weighs `OTHER_TASTE`.
OTHER_TASTE = -1.8
TASTE: tuple[dict[str, float], ...] = (
    {"facial": 1.2, "laser": 0.8, "drip": -0.8},
    {"laser": 1.4, "facial": 0.7, "drip": 0.0},
    {"botox": 1.6, "filler": 0.8, "facial": 0.0, "laser": -0.3},
    {"hifu": 1.6, "botox": 1.0, "filler": 0.9, "facial": -0.2},
    {"hair": 1.8, "body": 1.2, "drip": -0.8},
    {"drip": 1.8, "facial": 0.4, "laser": -0.8},
)

# Sources of leads: share, mean quality, and the source a customer of it gets.
LEAD_SOURCES: tuple[tuple[str, float, float, str], ...] = (
    ("facebook", 0.26, -0.2, "social_media"),
    ("line", 0.2, 0.3, "social_media"),
    ("website", 0.18, 0.1, "website"),
    ("instagram", 0.13, -0.1, "social_media"),
    ("google_ads", 0.12, 0.0, "ads"),
    ("tiktok", 0.11, -0.4, "ads"),
    ("referral", 0.0, 0.0, "referral"),
)
REFERRAL = 6
STAGES: tuple[str, ...] = ("new", "contacted", "qualified", "proposal_sent", "negotiation", "won", "lost")
WON, LOST = 5, 6

CHANNELS: tuple[str, ...] = ("line", "phone", "website", "walk_in", "app", "facebook")
CHANNEL_SHARES: tuple[float, ...] = (0.42, 0.18, 0.15, 0.1, 0.1, 0.05)

# Branches: code, English name, Thai name, province, district, postal code.
BRANCHES: tuple[tuple[str, str, str, str, str, str], ...] = (
    ("SIAM", "Siam", "สยาม", "กรุงเทพมหานคร", "ปทุมวัน", "10330"),
    ("THONGLOR", "Thonglor", "ทองหล่อ", "กรุงเทพมหานคร", "วัฒนา", "10110"),
    ("ARI", "Ari", "อารีย์", "กรุงเทพมหานคร", "พญาไท", "10400"),
    ("LADPRAO", "Lat Phrao", "ลาดพร้าว", "กรุงเทพมหานคร", "จตุจักร", "10900"),
    ("NIMMAN", "Nimman", "นิมมาน", "เชียงใหม่", "เมืองเชียงใหม่", "50200"),
    ("BANGNA", "Bang Na", "บางนา", "กรุงเทพมหานคร", "บางนา", "10260"),
    ("PATTAYA", "Pattaya", "พัทยา", "ชลบุรี", "บางละมุง", "20150"),
    ("PHUKET", "Phuket Town", "ภูเก็ต", "ภูเก็ต", "เมืองภูเก็ต", "83000"),
    ("PINKLAO", "Pin Klao", "ปิ่นเกล้า", "กรุงเทพมหานคร", "บางกอกน้อย", "10700"),
    ("HATYAI", "Hat Yai", "หาดใหญ่", "สงขลา", "หาดใหญ่", "90110"),
    ("KHONKAEN", "Khon Kaen", "ขอนแก่น", "ขอนแก่น", "เมืองขอนแก่น", "40000"),
    ("RANGSIT", "Rangsit", "รังสิต", "ปทุมธานี", "ธัญบุรี", "12130"),
    ("KORAT", "Korat", "โคราช", "นครราชสีมา", "เมืองนครราชสีมา", "30000"),
    ("NONTHABURI", "Nonthaburi", "นนทบุรี", "นนทบุรี", "เมืองนนทบุรี", "11000"),
    ("UDON", "Udon Thani", "อุดรธานี", "อุดรธานี", "เมืองอุดรธานี", "41000"),
    ("SATHORN", "Sathorn", "สาทร", "กรุงเทพมหานคร", "สาทร", "10120"),
    ("RAMA9", "Rama 9", "พระราม 9", "กรุงเทพมหานคร", "ห้วยขวาง", "10310"),
    ("SRIRACHA", "Si Racha", "ศรีราชา", "ชลบุรี", "ศรีราชา", "20110"),
    ("RAYONG", "Rayong", "ระยอง", "ระยอง", "เมืองระยอง", "21000"),
    ("HUAHIN", "Hua Hin", "หัวหิน", "ประจวบคีรีขันธ์", "หัวหิน", "77110"),
    ("PHITSANULOK", "Phitsanulok", "พิษณุโลก", "พิษณุโลก", "เมืองพิษณุโลก", "65000"),
    ("UBON", "Ubon", "อุบล", "อุบลราชธานี", "เมืองอุบลราชธานี", "34000"),
    ("SURAT", "Surat Thani", "สุราษฎร์ธานี", "สุราษฎร์ธานี", "เมืองสุราษฎร์ธานี", "84000"),
    ("CHIANGRAI", "Chiang Rai", "เชียงราย", "เชียงราย", "เมืองเชียงราย", "57000"),
    ("ONNUT", "On Nut", "อ่อนนุช", "กรุงเทพมหานคร", "สวนหลวง", "10250"),
    ("BANGKAE", "Bang Khae", "บางแค", "กรุงเทพมหานคร", "บางแค", "10160"),
    ("SAMYAN", "Sam Yan", "สามย่าน", "กรุงเทพมหานคร", "บางรัก", "10500"),
    ("MINBURI", "Min Buri", "มีนบุรี", "กรุงเทพมหานคร", "มีนบุรี", "10510"),
    ("NAKHONPATHOM", "Nakhon Pathom", "นครปฐม", "นครปฐม", "เมืองนครปฐม", "73000"),
    ("AYUTTHAYA", "Ayutthaya", "อยุธยา", "พระนครศรีอยุธยา", "พระนครศรีอยุธยา", "13000"),
    ("CHANTHABURI", "Chanthaburi", "จันทบุรี", "จันทบุรี", "เมืองจันทบุรี", "22000"),
    ("LAMPANG", "Lampang", "ลำปาง", "ลำปาง", "เมืองลำปาง", "52000"),
    ("TRANG", "Trang", "ตรัง", "ตรัง", "เมืองตรัง", "92000"),
    ("ROIET", "Roi Et", "ร้อยเอ็ด", "ร้อยเอ็ด", "เมืองร้อยเอ็ด", "45000"),
    ("NAKHONSI", "Nakhon Si", "นครศรีธรรมราช", "นครศรีธรรมราช", "เมืองนครศรีธรรมราช", "80000"),
    ("RATCHABURI", "Ratchaburi", "ราชบุรี", "ราชบุรี", "เมืองราชบุรี", "70000"),
    ("SAKON", "Sakon Nakhon", "สกลนคร", "สกลนคร", "เมืองสกลนคร", "47000"),
    ("KRABI", "Krabi", "กระบี่", "กระบี่", "เมืองกระบี่", "81000"),
    ("SARABURI", "Saraburi", "สระบุรี", "สระบุรี", "เมืองสระบุรี", "18000"),
    ("SAMUI", "Samui", "สมุย", "สุราษฎร์ธานี", "เกาะสมุย", "84320"),
)
