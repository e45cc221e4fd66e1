"""Words the fictional customers and representatives are made of."""

SEGMENT_SHARES = {
    "retail": 0.36,
    "hospitality": 0.20,
    "industry": 0.22,
    "education": 0.13,
    "hospital": 0.09,
}
SEGMENT_POTENTIAL_FACTORS = {
    "retail": 0.7,
    "hospitality": 0.8,
    "industry": 1.6,
    "education": 1.1,
    "hospital": 2.0,
}

TAGS = (
    "after-hours",
    "cold-chain",
    "new-build",
    "parking-limited",
    "price-sensitive",
    "referral",
    "seasonal",
    "tender",
)

# Pinyin and character of the syllables that brands are joined from, two at a time. They name
# plants, weather and water, so that a brand means nothing and is nobody's.
SYLLABLES = (
    ("Lan", "岚"), ("Xi", "汐"), ("He", "禾"), ("Cheng", "澄"), ("You", "柚"), ("Zhi", "栀"),
    ("Ji", "霁"), ("Yan", "砚"), ("Tang", "棠"), ("Ling", "苓"), ("Dai", "黛"), ("Lu", "鹭"),
    ("Tong", "桐"), ("Liao", "蓼"), ("Yu", "榆"), ("Wei", "苇"), ("Feng", "枫"), ("Zhu", "渚"),
    ("Mian", "棉"), ("Qi", "栖"), ("Yao", "珧"), ("Shu", "舒"), ("Nian", "念"), ("Pu", "朴"),
    ("Ruo", "若"), ("Mo", "墨"), ("Qing", "青"), ("Bai", "柏"), ("Su", "粟"), ("Hu", "斛"),
)  # fmt: skip

BUSINESSES = {
    "retail": (
        ("Pharmacy", "大药房"),
        ("Supermarket", "超市"),
        ("Convenience Store", "便利店"),
        ("Hardware Store", "五金店"),
        ("Bookshop", "书店"),
        ("Stationery", "文具店"),
    ),
    "hospitality": (
        ("Hotel", "酒店"),
        ("Noodle House", "面馆"),
        ("Teahouse", "茶楼"),
        ("Restaurant", "餐厅"),
        ("Guesthouse", "客栈"),
        ("Bakery Café", "烘焙坊"),
    ),
    "industry": (
        ("Precision Tools", "精密工具厂"),
        ("Textiles", "纺织厂"),
        ("Packaging", "包装厂"),
        ("Bearings Works", "轴承厂"),
        ("Plastics", "塑料制品厂"),
        ("Food Processing", "食品厂"),
    ),
    "education": (
        ("Kindergarten", "幼儿园"),
        ("Primary School", "小学"),
        ("Language School", "语言学校"),
        ("Vocational College", "职业学院"),
        ("Music Academy", "音乐学校"),
        ("Training Centre", "培训中心"),
    ),
    "hospital": (
        ("Clinic", "诊所"),
        ("Dental Clinic", "口腔诊所"),
        ("Eye Hospital", "眼科医院"),
        ("Rehabilitation Centre", "康复中心"),
        ("General Hospital", "综合医院"),
        ("Veterinary Clinic", "宠物医院"),
    ),
}

SURNAMES = (
    "Lin", "Shen", "Gu", "Lu", "Qian", "Xu", "Jiang", "Cai", "Fang", "Tao", "Yan", "Hua",
    "Mao", "Pan", "Ding", "Ren", "Bao", "Wen", "Zhuang", "Qu", "Ge", "Ruan", "Chu", "Ji",
)  # fmt: skip
GIVEN_NAMES = (
    "Haoyu", "Yuchen", "Siqi", "Jingyi", "Wenbo", "Ruoxi", "Zihan", "Mingze", "Yating",
    "Chengyu", "Xinyue", "Kaiwen", "Shiyun", "Junhao", "Peishan", "Zhiyuan", "Manqing",
    "Tianyi", "Yifan", "Luoning", "Qiuyan", "Boxuan", "Anqi", "Guanlin",
)  # fmt: skip
