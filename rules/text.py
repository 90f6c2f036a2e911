"""How a customer's text is made comparable before any word is looked for."""

import re
import unicodedata

_INVISIBLE = dict.fromkeys([0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFE0E, 0xFE0F, 0xFEFF])
_SPACE_IN_CHINESE = re.compile(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])")
_SPACES = re.compile(r"\s+")

# Traditional characters (and a few variants) of a delivery customer's vocabulary, each followed by its simplified form.
_PAIRS = (
    "變变質质發发黴霉蟲虫腸肠嘔呕瀉泻醫医院院過过鮮鲜壞坏爛烂髮发頭头絲丝鐵铁鋼钢針针鼠鼠蠅蝇蟻蚁鬧闹痛痛腫肿癢痒敏敏氣气"
    "憤愤騙骗無无語语離离譜谱滾滚媽妈垃垃圾圾爺爷廢废話话誰谁這这個个們们來来時时間间點点鐘钟個个兩两幾几還还沒没從从開开關关"
    "門门問问題题對对應应該该認认為为會会員员單单訂订買买賣卖貨货錢钱費费價价貴贵優优惠惠券券劵券紅红減减滿满贈赠積积"
    "餐餐飯饭麵面湯汤雞鸡鴨鸭魚鱼蝦虾蛋蛋豬猪羊羊奶奶麥麦餅饼飲饮藥药罐罐頭头裝装袋袋盒盒箱箱漏漏灑洒撒撒濕湿凍冻冷冷熱热"
    "騎骑車车遲迟晚晚誤误達达電电話话線线網网頁页號号碼码帳账賬账戶户登登錄录載载機机壓压閃闪崩崩潰溃卡卡死死錯错誤误"
    "態态度度惡恶劣劣罵骂吼吼兇凶凶凶服服務务員员顧顾客客經经理理聯联絡络繫系係系統统復复覆复應应見见覺觉說说講讲聽听讓让請请"
    "謝谢歡欢樂乐難难過过傷伤亂乱辦办處处換换補补償偿賠赔還还給给拒拒絕绝駁驳審审確确實实證证據据圖图張张寫写書书"
    "東东華华國国區区樓楼層层鄉乡鎮镇縣县廠厂廣广產产業业標标籤签檢检測测驗验衛卫潔洁淨净髒脏臟脏殘残渣渣屍尸體体"
    "蘋苹萬万億亿數数歲岁歷历曆历後后裡里裏里隻只條条雙双邊边邏逻輯辑遠远進进運运輸输轉转輪轮輛辆較较軟软農农鹽盐"
    "麼么嗎吗吧吧呢呢嚴严兒儿兇凶內内冊册劃划別别則则剛刚創创動动勞劳勢势匯汇協协參参吳吴嘗尝團团圓圆報报場场塊块壽寿"
    "夠够夢梦妳你孫孙學学寶宝將将尋寻導导專专層层屬属島岛帶带帥帅師师幣币幫帮廳厅強强彈弹彙汇後后徑径恆恒悶闷惱恼愛爱態态慘惨"
    "慣惯慮虑懶懒戰战戲戏擔担擇择擊击據据擾扰擺摆敗败敵敌斷断於于昇升曬晒曉晓暫暂條条極极構构槍枪樣样樹树橋桥歸归殺杀毀毁"
    "沖冲況况洩泄渾浑準准滅灭漢汉漲涨潛潜潑泼澀涩濃浓燈灯燒烧營营爭争爾尔牆墙狀状獨独獎奖瑪玛畫画異异當当療疗瘋疯盜盗盡尽監监"
    "盤盘眾众睏困瞞瞒礙碍禮礼種种稱称穩稳積积窮穷節节範范築筑簡简籃篮糧粮糾纠紀纪約约級级紙纸細细終终組组結结給给統统維维緊紧"
    "編编緩缓縮缩總总績绩繳缴繼继續续罰罚羅罗習习職职聞闻聲声腦脑膠胶臉脸臨临舉举舊旧艙舱藍蓝蘇苏虛虚蠻蛮術术衝冲裂裂製制複复規规視视"
    "親亲觀观觸触計计訊讯討讨訓训記记許许訴诉診诊評评詐诈試试詢询詳详誠诚調调談谈論论諾诺謊谎證证譯译護护讚赞豐丰貌貌負负"
    "財财責责貪贪貼贴資资賓宾賞赏質质賴赖購购贏赢趕赶跡迹踐践軍军輕轻載载輸输迴回適适選选遞递遺遗邊边郵邮鄰邻醬酱釋释"
    "銷销鋪铺鎖锁鏡镜鐵铁長长閉闭閱阅陳陈陰阴陽阳隊队階阶隨随險险隱隐雖虽雜杂雲云靜静響响頂顶項项順顺須须預预領领頻频顏颜"
    "願愿類类顯显風风飛飞餓饿館馆騷骚驚惊驗验髮发鬆松鬍胡麗丽黃黄黑黑齊齐齒齿龍龙碩硕嘩哗惱恼糞粪蹟迹涼凉傢家夥伙"
)
_SIMPLIFIED = {ord(old): new for old, new in zip(_PAIRS[::2], _PAIRS[1::2], strict=True) if old != new}
_TRANSLATION: dict[int, str | None] = {**_INVISIBLE, **_SIMPLIFIED}


def normalise(text: str) -> str:
    """The comparable form: NFKC (full width as half), case folded, simplified, spaces tidied, nothing invisible."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_TRANSLATION).replace("’", "'")
    return _SPACES.sub(" ", _SPACE_IN_CHINESE.sub("", folded)).strip()
