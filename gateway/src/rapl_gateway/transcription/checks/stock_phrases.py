"""Phrases that Whisper models write where they hear nothing they know.

They come from the subtitles that the models were trained on. Each has been reported many times, for example in
https://github.com/openai/whisper/discussions/928 and https://github.com/openai/whisper/discussions/1873.
"""

from rapl_gateway.transcription.checks.words import words_of

_PHRASES = """
Thank you.
Thanks for watching!
Thank you for watching.
Thank you so much for watching.
Please subscribe to my channel.
Subtitles by the Amara.org community
Bye.
You
Untertitel der Amara.org-Community
Untertitelung des ZDF, 2020
Vielen Dank.
Vielen Dank fürs Zuschauen!
Sous-titres réalisés para la communauté d'Amara.org
Sous-titres réalisés par la communauté d'Amara.org
Merci d'avoir regardé cette vidéo !
Subtítulos realizados por la comunidad de Amara.org
¡Gracias por ver el video!
Gracias.
Sottotitoli creati dalla comunità Amara.org
Grazie per aver guardato il video!
Grazie.
Legendas pela comunidade Amara.org
Obrigado.
Редактор субтитров А.Семкин Корректор А.Егорова
Субтитры сделал DimaTorzok
Продолжение следует...
Спасибо за просмотр!
字幕由Amara.org社区提供
请不吝点赞 订阅 转发 打赏支持明镜与点点栏目
谢谢观看
謝謝觀看
谢谢大家
ご視聴ありがとうございました
시청해주셔서 감사합니다.
MBC 뉴스 이덕영입니다.
"""
_STOCK = frozenset(tuple(words_of(line)) for line in _PHRASES.splitlines() if line)


def is_stock_phrase(words: list[str]) -> bool:
    """Returns whether the words are one of the phrases, and nothing else."""
    return tuple(words) in _STOCK
